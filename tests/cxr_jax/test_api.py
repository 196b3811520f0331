"""What `import cxr_jax` offers."""

import csv
import subprocess
import sys

import numpy as np
import pytest
import tensorflow_datasets as tfds

import cxr_jax
from tfds_builders.common.errors import InputError


@pytest.fixture(scope="module")
def model(trained):
    return cxr_jax.load(trained)


@pytest.fixture(scope="module")
def films(brixia_data):
    source = tfds.data_source("brixia/256", data_dir=brixia_data, split="test")
    return {each["example_id"].decode(): each["image"][..., 0] for each in source}


def test_predictions_match_those_of_the_run(model, films, trained):
    predictions = model.predict(list(films.values()))
    with (trained / "predictions" / "brixia-test.csv").open() as file:
        written = {row["example_id"]: row for row in csv.DictReader(file)}
    assert written.keys() == films.keys()
    for place, film in enumerate(films):
        expected = [float(written[film][f"expected_{zone}"]) for zone in "ABCDEF"]
        np.testing.assert_allclose(
            predictions["expected"][place], expected, rtol=1e-5, atol=1e-6
        )


def test_batch_size_does_not_matter(model, films):
    """One film alone, or among more than a batch of them, in any kind of container."""
    images = list(films.values())
    images = (images * 20)[: 2 * model.config.batch_size + 3]
    together = model.predict(images)["probs"]
    assert together.shape == (len(images), 6, 4)
    alone = model.predict(images[-1][None])["probs"]
    np.testing.assert_allclose(together[-1:], alone, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "images, message",
    [
        ([], "there are none"),
        (np.zeros((2, 8, 8, 1), np.uint8), r"images\[0\].*\[8, 8, 1\]"),
        ([np.zeros((8, 8), np.uint8), np.zeros((8, 8))], r"images\[1\].*float64"),
    ],
)
def test_refuses_what_is_not_a_stored_film(model, images, message):
    with pytest.raises(InputError, match=message):
        model.predict(images)


def test_a_folder_without_a_run(tmp_path):
    with pytest.raises(InputError, match="config.json"):
        cxr_jax.load(tmp_path)


def loaded_by(code):
    """Modules that a fresh Python has loaded after `code`."""
    program = f"import sys; {code}; print(*sys.modules)"
    return set(
        subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        ).stdout.split()
    )


def test_importing_the_package_loads_nothing_else():
    ours = [name for name in loaded_by("import cxr_jax") if name.startswith("cxr_jax")]
    assert ours == ["cxr_jax"]
    assert not {"numpy", "jax"} & loaded_by("import cxr_jax")


def test_datasets_and_metrics_need_no_jax():
    loaded = loaded_by(
        "import cxr_jax; cxr_jax.METRICS; cxr_jax.metrics; cxr_jax.build"
    )
    assert {"cxr_jax.metrics", "tfds_builders.build"} <= loaded
    assert "jax" not in loaded and "flax" not in loaded


def test_names():
    assert set(cxr_jax.__all__) <= set(dir(cxr_jax))
    for name in cxr_jax.__all__:
        assert getattr(cxr_jax, name) is not None
    assert {"brixia", "classify"} <= set(cxr_jax.TASKS)
    with pytest.raises(AttributeError, match="nothing"):
        cxr_jax.nothing  # noqa: B018
