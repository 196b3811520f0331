"""A row that is a program leaves its bundle where the docs say."""

import hashlib
import json

import pytest

from cxr_jax.bundle import digests
from launch.results import module
from launch.results.arms import Settings
from launch.results.row import Row
from tfds_builders.common.errors import InputError


def bundle(folder, text):
    (folder / "golden").mkdir(parents=True)
    lines = []
    for name in ("bundle.json", "golden/golden.json"):
        (folder / name).write_text(text)
        lines.append(f"{hashlib.sha256(text.encode()).hexdigest()}  {name}\n")
    (folder / digests.SUMS).write_text("".join(lines))
    return folder


def test_the_bundle_alone_is_left_and_replaces_an_older_one(tmp_path):
    target = tmp_path / "best"
    for text in ("first", "second"):
        made = bundle(tmp_path / text, text)
        (made / "runs").mkdir()
        (made / "attempts.log").write_text("said")
        module.leave(made, target)
        assert digests.check(target) == digests.check(made)
        assert (target / "bundle.json").read_text() == text
        assert {path.name for path in target.iterdir()} == {
            "bundle.json",
            "golden",
            digests.SUMS,
        }


def test_a_metric_of_all_seeds_together_has_no_seeds(tmp_path):
    one = {"value": 0.5, "lo": 0.4, "hi": 0.6, "n": 9}
    figures = {"mae_zone": one, "coverage_90_global": one}
    content = {
        "metrics": figures,
        "rows": {"seed 0": {"mae_zone": one}, "constant median": {"mae_zone": one}},
        "patients": 7,
    }
    folder = tmp_path / "results" / "full" / "best_brixia"
    folder.mkdir(parents=True)
    (folder / "out_of_fold.json").write_text(json.dumps(content))
    row = Row("best_brixia", "Best", "mae_zone", "as it is", module="best_brixia")
    found = module.run(row, Settings(folder.parent), {})["honest"]
    assert found.by_seed == {"mae_zone": [0.5]}
    assert found.estimates["coverage_90_global"].value == 0.5


def finished(folder, text):
    """A row of `module`, with its bundle."""
    figures = {"mae_zone": {"value": 0.5, "lo": 0.4, "hi": 0.6, "n": 9}}
    content = {"metrics": figures, "rows": {}, "patients": 7}
    made = bundle(folder / "best_brixia", text)
    (made / "out_of_fold.json").write_text(json.dumps(content))


def test_short_trainings_do_not_take_the_place_of_whole_ones(tmp_path):
    row = Row("best_brixia", "Best", "mae_zone", "as it is", module="best_brixia")
    target = tmp_path / "runs" / row.name
    short, whole = (tmp_path / "runs" / "results" / each for each in ("quick", "full"))

    def left(folder):
        module.run(row, Settings(folder, quick=folder == short, start=False), {})
        return (target / "bundle.json").read_text()

    finished(short, "short")
    assert left(short) == "short"
    finished(whole, "whole")
    assert left(whole) == left(short) == "whole"


def test_what_is_no_bundle_is_left_alone(tmp_path):
    target = tmp_path / "best"
    module.leave(tmp_path, target)
    assert not target.exists()
    target.mkdir()
    (target / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="is not a bundle"):
        module.leave(bundle(tmp_path / "made", "x"), target)
    assert (target / "notes.txt").read_text() == "mine"
