"""The cost of a full set follows from the log of a sample."""

import json

import pytest

from benchmarks import full_sets
from benchmarks.full_sets import Cost, FullSet


def test_an_epoch_is_train_at_the_measured_speed():
    own = FullSet(1000, "unused", side=100, values=2)
    minutes, memory = full_sets.scaled(own, Cost(7.0, 10**9), sample=200)
    assert minutes == pytest.approx(1000 * 0.7 / 7 / 60)
    assert memory == pytest.approx(1.0 + 800 * 100 * 100 * 2 / 1e9)


def test_the_first_two_steps_are_not_timed(tmp_path):
    rows = [
        {"step": k, "images_per_second": v} for k, v in enumerate((1, 2, 3, 9, 4), 1)
    ]
    rows.append({"step": 5, "val/loss": 1.0})
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "metrics.jsonl").write_text(text)
    assert full_sets.speed(tmp_path) == 4
