import csv

import numpy as np
import pytest

from cxr_jax import experiment
from cxr_jax.data import builders
from cxr_jax.evaluation import evaluators


@pytest.fixture
def evaluated(tiny_config):
    exp = experiment.build(tiny_config, train_examples=40)
    builder = builders.open_builder("brixia/256", tiny_config.data.data_dir)
    split = builders.load(builder, "test")
    eval_step, state = exp.compile_eval_step(), exp.init()

    def run(batch_size=8):
        with tiny_config.unlocked():
            tiny_config.batch_size = batch_size
        return evaluators.evaluate(exp, eval_step, state, split, None, resamples=20)

    return exp, run


def test_the_batch_size_changes_nothing(evaluated):
    _, run = evaluated
    one, other = run(2), run(8)
    np.testing.assert_allclose(
        one.predictions["expected"], other.predictions["expected"], atol=2e-5
    )
    for name, estimate in one.metrics.items():
        assert estimate.value == pytest.approx(other.metrics[name].value, abs=1e-4)


def test_predictions_file_reads_back_to_the_same_numbers(evaluated, tmp_path):
    exp, run = evaluated
    evaluation = run()
    path = tmp_path / "brixia-test.csv"
    evaluators.save_predictions(path, evaluation, exp.task)
    rows = list(csv.DictReader(path.open()))
    assert list(rows[0])[:3] == ["example_id", "patient_id", "target_A"]
    assert [row["example_id"] for row in rows] == evaluation.split.table["example_id"]
    found = np.array([[row[f"expected_{z}"] for z in "ABCDEF"] for row in rows], float)
    np.testing.assert_array_equal(
        found.astype(np.float32), evaluation.predictions["expected"]
    )
    # The metric can be had from the file alone.
    target = np.array([[row[f"target_{z}"] for z in "ABCDEF"] for row in rows], float)
    assert np.abs(found - target).mean() == pytest.approx(
        evaluation.metrics["mae_zone"].value, abs=1e-6
    )
