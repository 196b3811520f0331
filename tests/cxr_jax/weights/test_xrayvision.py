"""torchxrayvision's DenseNet: its pixels, its 18 outputs, its logits to 1e-4."""

import importlib.util
import pathlib

import jax
import numpy as np
import parity_real
import pytest
import record
import safetensors.numpy
from parity_cases import TOLERANCE

from configs import common
from cxr_jax.models import MODELS
from cxr_jax.models.init import initialise
from cxr_jax.ops.registry import make_preprocess
from cxr_jax.weights import init_from, source
from cxr_jax.weights.published import XRAYVISION_OUTPUTS
from tfds_builders.common.errors import InputError

SCALING = "to_float|normalise(0.5, 0.5)"


def config(path: pathlib.Path, preprocess: str):
    found = common.get_config(64)
    found.init_from, found.init_excuse = str(path), ""
    found.model.name = "densenet121"
    found.preprocess.train = found.preprocess.eval = preprocess
    return found


def logits(path: pathlib.Path, preprocess: str = SCALING) -> np.ndarray:
    """Ours for `record.films`, with the weights of the file."""
    model = MODELS["densenet121"](18)
    params, state = initialise(model, (64, 64, 1), seed=0)
    begun = init_from.begin(
        source.read(path), config(path, preprocess), {"params": params, **state}
    )
    images = make_preprocess(preprocess, train=False)(
        {"image": record.films()[..., None]}
    )["image"]
    fast = {"xla_backend_optimization_level": 0}
    return np.asarray(jax.jit(model.apply, compiler_options=fast)(begun, images).logits)


def close(ours, theirs) -> bool:
    return np.abs(ours - theirs).max() < TOLERANCE * np.abs(theirs).max()


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    arrays, theirs, outputs = record.read_xrayvision()
    path = tmp_path_factory.mktemp("weights") / "xrv.safetensors"
    safetensors.numpy.save_file(arrays, path)
    return path, theirs, outputs


def test_same_logits_as_recorded(recorded, capsys):
    path, theirs, outputs = recorded
    assert close(logits(path), theirs)
    # The two films differ by far more than what is tolerated.
    assert np.ptp(theirs, axis=0).max() > 100 * TOLERANCE * np.abs(theirs).max()
    assert outputs == XRAYVISION_OUTPUTS and len(outputs) == theirs.shape[1]
    assert ", ".join(outputs) in capsys.readouterr().out


@pytest.mark.parametrize("scaling", ["normalise(0.449, 0.226)", "standardise"])
def test_other_pixels_are_refused(recorded, scaling):
    with pytest.raises(InputError, match=r"normalise\(0.5, 0.5\)"):
        logits(recorded[0], f"to_float|{scaling}")


def test_thresholds_that_are_nan_are_no_weights(recorded, tmp_path):
    arrays, theirs, _ = record.read_xrayvision()
    arrays["op_threshs"] = np.full(18, np.nan, np.float32)
    np.savez(tmp_path / "xrv.npz", **arrays)
    assert close(logits(tmp_path / "xrv.npz"), theirs)


@pytest.mark.slow
def test_same_logits_as_the_package(tmp_path):
    for name in ("torch", "torchxrayvision"):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"not installed: {name}")
    import torch

    state, theirs, outputs = parity_real.xrayvision(record.films())
    torch.save(
        {"state_dict": {f"module.{n}": t for n, t in state.items()}}, tmp_path / "a.pth"
    )
    assert close(logits(tmp_path / "a.pth"), theirs)
    assert outputs == XRAYVISION_OUTPUTS
