"""The training without configs is the one that a config gives."""

import re

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


@pytest.fixture(scope="module")
def program_for_a_gpu() -> tuple[str, int]:
    """A training step of MobileNetV2 in bfloat16; and the leaves of its state."""
    made = ours.setup("mobilenet_v2", "bfloat16", 32, 4)
    batch = {"image": np.zeros((4, 32, 32, 1), np.uint8), **ours.targets(made.task, 4)}
    state = made.state()
    step = jax.jit(made.train_step, donate_argnums=0)
    traced = step.trace(state, batch, rng.root(0), ours.settings())
    program = traced.lower(lowering_platforms=("cuda",)).as_text()
    return program, len(jax.tree.leaves(state))


def test_a_gpu_gets_grouped_convolutions_and_no_loops(program_for_a_gpu):
    program, _ = program_for_a_gpu
    assert "stablehlo.while" not in program
    lines = re.findall(r"stablehlo\.convolution.*", program)
    grouped = [
        line for line in lines if not re.search(r"\Wfeature_group_count = 1\D", line)
    ]
    by_batch = [
        line for line in lines if not re.search(r"batch_group_count = 1\D", line)
    ]
    # 17 depthwise layers: forward, and the gradients of the images and of the kernels.
    assert len(grouped) == 2 * 17 and len(by_batch) == 17
    # The only other is the first; its images have no gradient.
    assert len(lines) == 3 * 17 + 2


def test_a_gpu_convolves_in_bfloat16_channels_last(program_for_a_gpu):
    program, _ = program_for_a_gpu
    lines = re.findall(r"stablehlo\.convolution.*", program)
    assert not [line for line in lines if "f32>" in line]
    # As cuDNN has them: images, and for the gradient of a kernel images as channels.
    axes = {"[b, 0, 1, f]", "[f, 0, 1, b]"}
    assert {re.search(r"dim_numbers = (\[.*?\])x", line)[1] for line in lines} == axes


def test_a_gpu_reuses_the_memory_of_the_state(program_for_a_gpu):
    program, leaves = program_for_a_gpu
    donated = program.count("tf.aliasing_output") + program.count("jax.buffer_donor")
    assert donated == leaves
