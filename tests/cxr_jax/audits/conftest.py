"""Datasets with planted faults, prepared on disk."""

import pytest
import toys

from cxr_jax.audits.data import baselines


@pytest.fixture(autouse=True)
def few_trees(monkeypatch):
    monkeypatch.setattr(baselines, "_TREES", 5)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """data_dir of 'clean', of 'leaking' with three faults, and of 'tiny' with one.

    Of 12 test images of 'leaking' one is a copy of a train image, one nearly a copy
    and mirrored, and one is of a train patient. 'tiny' has 4 and 1, of one patient.
    """
    folder = tmp_path_factory.mktemp("audited")
    train = toys.rows([f"a{k}" for k in range(40)])
    test = toys.rows([f"b{k}" for k in range(12)])
    toys.prepare(folder, "clean", {"train": train, "test": test})
    shown = {"train": toys.drawn(train), "test": toys.drawn(test)}
    shown["test"][3] = shown["train"][5]
    shown["test"][4] = toys.jpeg_copy(shown["train"][6])[:, ::-1]
    patients = [*test["patient_id"][:7], "a8", *test["patient_id"][8:]]
    test = {**test, "patient_id": patients}
    toys.prepare(folder, "leaking", {"train": train, "test": test}, shown)
    few = toys.rows(["c", "d", "e", "f"], ["p", "q", "r", "s"])
    toys.prepare(folder, "tiny", {"train": few, "test": toys.rows(["g"], ["q"])})
    return folder
