import re

import jax
import numpy as np
import pytest

from cxr_jax import experiment, state
from cxr_jax.data import roles
from cxr_jax.models import MODELS, init
from cxr_jax.train import dry_run

# Of the small CNN of `tiny_config` on 48 x 48 x 1, widths 4 and 8, a grid of 3 x 2 parts
# and six zones of four scores: (kernel, bias and scale) of each stage; dense layer.
PARAMETERS = (3 * 3 * 1 * 4 + 8) + (3 * 3 * 4 * 8 + 16) + (6 * 8 * 24 + 24)
STATISTICS = 2 * 4 + 2 * 8
FIRST = 2 * 48 * 48 * (3 * 3 * 1) * 4  # operations of the first convolution
GRID = 2 * (3 * 24 * 24 * 8 + 3 * 2 * 24 * 8)  # rows, then columns
FORWARD = FIRST + 2 * 24 * 24 * (3 * 3 * 4) * 8 + GRID + 2 * 6 * 8 * 24


@pytest.fixture
def opened(tiny_config, tmp_path):
    splits = roles.open_splits(tiny_config.data, tmp_path)
    exp = experiment.build(tiny_config, train_examples=splits.train.size)
    return exp, splits


@pytest.fixture
def shown(opened, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    dry_run.show(*opened)
    assert list(tmp_path.iterdir()) == []  # nothing is written
    return capsys.readouterr().out


def number(text: str) -> float:
    """'1.23 MB' -> 1230000.0"""
    value, prefix = re.match(r"([\d.]+) ([kMGT]?)", text).groups()
    return float(value) * 1000.0 ** " kMGT".index(prefix or " ")


def after(shown: str, words: str) -> float:
    """The number with a unit that follows the words."""
    return number(re.search(re.escape(words) + r"\s+(\d.*)", shown)[1])


def test_it_fits_a_terminal(shown):
    assert max(map(len, shown.splitlines())) <= 100


def test_parameters(shown):
    lines = shown.splitlines()
    row = next(line for line in lines if line.startswith("stage2_conv1"))
    assert row.split() == ["stage2_conv1", "kernel", "3x3x4x8", "float32", "288"]
    row = next(line for line in lines if line.startswith("stage1_bn1"))
    assert re.search(r"bias 4, scale 4 +float32 +8 +8$", row)
    assert re.search(rf"total, all trained +{PARAMETERS:,} +{STATISTICS}\n", shown)
    # Kernels are decayed, biases and scales are not.
    kernels = PARAMETERS - 8 - 16 - 24
    assert f"weight decay 0.01 on {kernels:,} of {PARAMETERS:,} parameters" in shown


def test_data(shown, opened):
    _, splits = opened
    assert "SYNTHETIC" in shown
    for role in ("train", "val", "test"):
        split = getattr(splits, role)
        patients = len(set(split.table["patient_id"]))
        assert f"{role:5}  {split.size} images of {patients} patients" in shown
    images = splits.train.size + splits.val.size
    assert f"decoded: {images} images of train and val, 48x48 uint16" in shown
    size = number(re.search(r"\S+ \w+(?= decoded:)", shown)[0])
    assert size == pytest.approx(images * 48 * 48 * 2, rel=0.01)


def test_steps(shown, opened):
    _, splits = opened
    epochs = 6 / (splits.train.size / 8)
    assert f"6 steps of 8 images: {epochs:.1f} epochs" in shown
    assert f"evaluation on {splits.val.size} images of val every 3 steps, 2" in shown
    assert "checkpoint every 2 steps, 3 times" in shown
    assert "line of the log every step, 6 times" in shown


def test_operations(shown):
    assert after(shown, "forward") == pytest.approx(FORWARD, rel=0.01)
    # Twice as much again for gradients, but none of the picture and of the grid's weights.
    step = 8 * (3 * FORWARD - FIRST - GRID)
    assert after(shown, "train step") == pytest.approx(step, rel=0.01)


def test_memory(shown):
    devices = jax.device_count()
    # Parameters and two moments of Adam, statistics; pictures split over the devices.
    held = 4 * (3 * PARAMETERS + STATISTICS) + 8 * 48 * 48 * 2 / devices
    assert after(shown, "arguments") == pytest.approx(held, rel=0.03)
    total = sum(after(shown, part) for part in ("arguments", "temporaries"))
    assert after(shown, "together") == pytest.approx(total, rel=0.1)
    # The maps of the first stage, one for the backward pass at least.
    assert after(shown, "temporaries") >= 8 / devices * 48 * 48 * 4 * 4
    stored = 4 * (3 * PARAMETERS + STATISTICS)
    assert after(shown, "state") == pytest.approx(stored, rel=0.02)


@pytest.mark.parametrize(
    "name", ["cnn", "resnet50", "densenet121", "mobilenet_v2", "vit_s16", "bsnet"]
)
def test_tables_of_models_with_long_names(name):
    model = MODELS[name](24)
    variables = init.abstract_variables(model, (64, 64, 1))
    params = variables.pop("params")
    lines = dry_run.parameter_table(
        state.TrainState(None, params, variables, None, None)
    )
    assert max(map(len, lines)) <= 100
    paths = jax.tree_util.tree_leaves_with_path(params)
    names = [[key.key for key in path] for path, _ in paths]
    modules = {"/".join(name[:-1] or name) for name in names}
    assert {line.split()[0] for line in lines[1:-1]} == modules
    ends = lines[0].index("parameters") + len("parameters")
    counts = [int(line[:ends].split()[-1].replace(",", "")) for line in lines[1:]]
    assert counts[-1] == sum(counts[:-1])
    assert counts[-1] == sum(np.prod(leaf.shape) for _, leaf in paths)


def test_numbers_in_names_sort_as_numbers():
    leaf = {"kernel": jax.ShapeDtypeStruct((2, 3), np.float32)}
    params = {f"layer{k}": leaf for k in (1, 2, 10, 11)}
    abstract = state.TrainState(None, params, {}, None, None)
    names = [line.split()[0] for line in dry_run.parameter_table(abstract)[1:-1]]
    assert names == ["layer1", "layer2", "layer10", "layer11"]


def test_frozen_parameters_are_not_counted_as_trained():
    leaf = {"kernel": jax.ShapeDtypeStruct((2, 3), np.float32)}
    abstract = state.TrainState(None, {"a": leaf, "b": leaf}, {}, None, None)
    lines = dry_run.parameter_table(abstract, frozenset(["a/kernel"]))
    assert lines[-1].startswith("total, 6 trained") and "12" in lines[-1]
