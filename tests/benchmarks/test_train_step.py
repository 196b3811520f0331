"""The benchmark at a tiny size: it runs, and all train the same model."""

import importlib.util

import jax
import numpy as np
import pytest

from benchmarks import train_step
from benchmarks.train_step import Case
from cxr_jax.models import MODELS
from cxr_jax.models.init import abstract_variables


def case(model, side=32):
    return Case(model, side, batch_size=2, dtype="float32")


@pytest.mark.parametrize("model", train_step.MODELS)
def test_pytorch_trains_a_model_with_the_same_parameters(model):
    pytest.importorskip("torchvision")
    from benchmarks import torch_models

    theirs = torch_models.make(model, 64, 4)
    ours = abstract_variables(MODELS[model](4), (64, 64, 1))["params"]
    sizes = sorted(leaf.size for leaf in jax.tree.leaves(ours))
    assert sizes == sorted(leaf.numel() for leaf in theirs.parameters())


def test_pytorch_sees_the_same_images():
    torch = pytest.importorskip("torch")
    from benchmarks import torch_models
    from cxr_jax.ops.registry import make_preprocess

    images, _ = case("resnet18").batch()
    ours = make_preprocess(
        train_step.our_config(case("resnet18")).preprocess.train, train=True
    )({"image": images})["image"]
    theirs = torch_models.standardised(torch.from_numpy(images))
    np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-5, atol=1e-5)


def test_operations_are_three_times_those_published_for_a_forward_pass():
    # 1.814 G multiply-adds for ResNet-18 with three channels and 1000 outputs
    # (torchvision's table); from one channel the first convolution costs a third.
    multiply_adds = 1.814e9 - 112 * 112 * 64 * 49 * 2 - 512 * 1000
    _, facts = train_step.ours(case("resnet18", 224))
    first = 2 * 112 * 112 * 64 * 49  # pictures have no gradient
    assert facts["flops"] / 2 == pytest.approx(6 * multiply_adds - first, rel=5e-3)


@pytest.mark.slow
def test_trainers_are_timed_in_separate_processes():
    chosen = (train_step.ours, train_step.torch_eager, train_step.keras)
    found = train_step.measure(case("s4_cnn", 16), chosen, repeats=2)
    assert found["keras"] == ({"problem": "not in keras.applications"}, [])
    if importlib.util.find_spec("torchvision") is None:
        facts, times = found.pop("torch_eager")
        assert facts["problem"] in (
            "torch is not installed",
            "torchvision is not installed",
        )
        assert not times
    for name in set(found) - {"keras"}:
        facts, times = found[name]
        assert len(times) == 2 and min(times) > 0
        assert facts["first"] > 0


def test_the_table_shows_rates_ratios_and_what_is_missing():
    found = {
        "ours": ({"first": 3.0, "flops": 4e9}, [1.0, 0.5, 2.0]),
        "torch_eager": ({"first": 1.0}, [0.8]),
        "keras": ({"problem": "keras is not installed"}, []),
    }
    lines = train_step.table(case("resnet18"), found)
    assert [line.split() for line in lines] == [
        ["ours", "2.0", "1.0", "..", "4.0", "n=3", "0.80", "4", "3.0"],
        ["torch_eager", "2.5", "2.5", "..", "2.5", "n=1", "1.00", "5", "1.0"],
        ["keras", "keras", "is", "not", "installed"],
    ]


def test_the_peak_is_the_faster_product():
    found = {"one": ({}, [2.0, 1.0, 4.0]), "other": ({"problem": "none"}, [])}
    assert train_step.peak(found) == pytest.approx(2 * 4096**3 / 2.0 / 1e9)
    assert train_step.peak({"other": ({"problem": "none"}, [])}) is None
