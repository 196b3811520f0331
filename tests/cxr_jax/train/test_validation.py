import types

import numpy as np
import pytest

from cxr_jax import experiment
from cxr_jax.evaluation.evaluators import Evaluation
from cxr_jax.metrics import Estimate
from cxr_jax.train import validation
from tfds_builders.common.errors import InputError


def estimates(**values):
    return {k: Estimate(v, np.nan, np.nan, 9) for k, v in values.items()}


@pytest.fixture
def follow(tiny_config, monkeypatch):
    """Feeds validate() with given metrics; -> which evaluations were the best so far."""
    exp = experiment.build(tiny_config, train_examples=40)
    drawn = {"classes": [0, 1], "target_by_called": [[3, 0], [1, 2]]}
    exp = exp._replace(task=exp.task._replace(confusion=lambda *_: drawn))
    writer = types.SimpleNamespace(evaluated=lambda *_: None, picture=lambda *_: None)

    def run(select, evaluations):
        with tiny_config.unlocked():
            tiny_config.select = select
        state, memory, found = exp.init(), validation.start({"median": [1] * 6}), []
        for step, metrics in enumerate(evaluations, 1):
            selecting = Evaluation(
                None, {}, {}, {"thresholds": [0.1]}, estimates(**metrics)
            )
            monkeypatch.setattr(validation.evaluators, "predict", lambda *_: ({}, {}))
            monkeypatch.setattr(
                validation.evaluators,
                "select_and_settle",
                lambda *_, found=selecting: (found, {"thresholds": [0.5]}),
            )
            memory, improved = validation.validate(
                exp, None, state._replace(step=np.int32(step)), memory, None, writer
            )
            found.append(improved)
        return found, memory

    return run


def test_errors_fall_and_areas_rise(follow):
    falling = [{"mae_zone": v, "loss": 1.0} for v in (0.9, 0.5, 0.6, 0.4)]
    assert follow("mae_zone", falling)[0] == [True, True, False, True]
    rising = [{"auroc": v, "loss": 1.0} for v in (0.5, 0.7, 0.6, 0.8)]
    found, memory = follow("auroc", rising)
    assert found == [True, True, False, True]
    assert memory["best"]["step"] == 4
    # What the other part of val settled, and train, travels with the best checkpoint.
    assert memory["best"]["decision"] == {"thresholds": [0.5], "median": [1] * 6}


def test_ties_go_to_the_lower_loss_then_to_the_first(follow):
    tied = [{"auroc": 1.0, "loss": v} for v in (0.9, 0.3, 0.5, 0.3)]
    assert follow("auroc", tied)[0] == [True, True, False, False]


def test_an_undefined_metric_stops_with_its_reason():
    undefined = {"auroc": Estimate(np.nan, np.nan, np.nan, 3, "only one class")}
    with pytest.raises(InputError, match="only one class"):
        validation.selected(undefined, "auroc")
