"""The training without configs is the one that a config gives."""

import jax
import numpy as np
import pytest

from benchmarks import train_step
from benchmarks.gpu import ours
from cxr_jax import experiment, rng


def step_of_a_config(model: str, side: int, batch_size: int):
    case = train_step.Case(model, side, batch_size, "float32")
    return experiment.build(
        train_step.our_config(case), train_examples=batch_size, image_dtype=np.uint8
    )


def test_the_step_is_that_of_the_config():
    made, exp = (
        ours.setup("resnet18", "float32", 32, 4),
        step_of_a_config("resnet18", 32, 4),
    )
    batch = {
        "image": np.zeros((4, 32, 32, 1), np.uint8),
        **ours.targets(made.task, 4),
    }
    arguments = made.state(), batch, rng.root(0), ours.settings()
    programs = {
        jax.jit(step).trace(*arguments).lower().as_text()
        for step in (made.train_step, exp.train_step)
    }
    assert len(programs) == 1


def test_an_epoch_has_every_example_once_and_batches_span_epochs():
    order = ours.run(ours.setup("cnn", "float32", 32, 4), 6, 4).order
    epochs = np.concatenate([order[i] for i in range(3)]).reshape(2, 6)
    np.testing.assert_array_equal(np.sort(epochs), [range(6)] * 2)
    assert (epochs[0] != epochs[1]).any()
    assert all(len(order[i]) == 4 for i in range(20))


@pytest.mark.parametrize("task, levels", [("classify", 4), ("brixia", 4)])
def test_targets_fit_the_task(task, levels):
    made = ours.setup("cnn", "float32", 32, 4, task=task)
    [values] = ours.targets(made.task, 500).values()
    assert np.unique(values).tolist() == list(range(levels))
