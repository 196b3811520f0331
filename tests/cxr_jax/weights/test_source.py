"""Files of weights: recognised by what is inside, refused with a reason."""

import io
import json
import pathlib
import pickle
import re
import signal
import subprocess
import sys
import zipfile
from typing import NamedTuple

import h5py
import numpy as np
import pytest
import safetensors.numpy

from cxr_jax.weights import foreign, keras, optional, pytorch, source, subreader
from tfds_builders.common.errors import InputError


def test_safetensors_are_recognised_whatever_they_are_called(tmp_path):
    path = tmp_path / "weights.bin"
    arrays = {"fc.weight": np.ones((2, 3), np.float32)}
    safetensors.numpy.save_file(arrays, path)
    found = source.read(path)
    assert found.format == "torch" and len(found.sha256) == 64
    np.testing.assert_array_equal(found.arrays["fc.weight"], arrays["fc.weight"])


def test_npz_by_our_names(tmp_path):
    np.savez(tmp_path / "a.npz", **{"params/fc/bias": np.arange(3.0)})
    found = source.read(tmp_path / "a.npz")
    assert found.format == "ours" and list(found.arrays) == ["params/fc/bias"]


@pytest.fixture
def old_keras(tmp_path):
    """As keras.applications has them, and as Keras 1 wrote them, side by side."""

    def write(root):
        root.attrs["layer_names"] = [b"conv1", b"bn1", b"relu"]
        layers = {
            "conv1": {"uniform1": np.ones((3, 3, 1, 2)), "conv1_b": np.zeros(2)},
            "bn1": {"bn1/gamma:0": np.ones(2), "bn1/moving_mean:0": np.full(2, 7.0)},
            "relu": {},
        }
        for layer, variables in layers.items():
            group = root.create_group(layer)
            group.attrs["weight_names"] = [name.encode() for name in variables]
            for name, array in variables.items():
                group[name] = array

    return write


@pytest.mark.parametrize("inside", ["", "model_weights"])
def test_keras_2(tmp_path, old_keras, inside):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        old_keras(file.create_group(inside) if inside else file)
    found = source.read(path)
    assert found.format == "keras"
    assert {name: array.shape for name, array in found.arrays.items()} == {
        "conv1/kernel": (3, 3, 1, 2),
        "conv1/bias": (2,),
        "bn1/gamma": (2,),
        "bn1/moving_mean": (2,),
    }
    np.testing.assert_array_equal(found.arrays["bn1/moving_mean"], [7.0, 7.0])


def keras_3(file):
    for group, name, shapes in (
        ("layers/conv2d", "stem", [(3, 3, 1, 2), (2,)]),
        ("layers/conv2d_1", "next", [(1, 1, 2, 4)]),
        ("layers/functional/layers/batch_normalization", "bn", [(4,)] * 4),
    ):
        variables = file.create_group(f"{group}/vars")
        variables.attrs["name"] = name
        for i, shape in enumerate(shapes):
            variables[str(i)] = np.full(shape, float(i))
    file.create_group("layers/re_lu/vars")


def test_keras_3_goes_by_the_names_of_layers(tmp_path):
    inner = io.BytesIO()
    with h5py.File(inner, "w") as file:
        keras_3(file)
    (tmp_path / "a.weights.h5").write_bytes(inner.getvalue())
    with zipfile.ZipFile(tmp_path / "a.keras", "w") as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("model.weights.h5", inner.getvalue())
    for name in ("a.keras", "a.weights.h5"):
        found = source.read(tmp_path / name)
        assert found.format == "keras"
        assert {n: a.flat[0] for n, a in found.arrays.items()} == {
            "stem/kernel": 0,
            "stem/bias": 1,
            "next/kernel": 0,
            "bn/gamma": 0,
            "bn/beta": 1,
            "bn/moving_mean": 2,
            "bn/moving_variance": 3,
        }


class Harmful:
    def __reduce__(self):
        return exec, ("raise SystemExit('a pickle was run')",)


def test_pickles_are_never_run(tmp_path):
    path = tmp_path / "a.pth"
    path.write_bytes(pickle.dumps({"fc.weight": Harmful()}))
    with pytest.raises(InputError, match="pickled objects are not read|needs the pac"):
        source.read(path)
    np.savez(tmp_path / "a.npz", a=np.array([Harmful()], object))
    with pytest.raises(InputError, match="cannot be read as .npz"):
        source.read(tmp_path / "a.npz")


def test_a_state_dict_of_pytorch(tmp_path):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    path, weight = tmp_path / "a.pth", torch.arange(6.0).reshape(2, 3)
    for stored, inside in (
        ({"fc.weight": weight}, ()),
        ({"epoch": 3, "state_dict": {"fc.weight": weight.half()}}, ("state_dict",)),
        ({"net": {"fc.weight": weight.to(torch.float8_e4m3fn)}}, ("net",)),
    ):
        torch.save(stored, path)
        found = source.read(path)
        assert found.format == "torch" and found.inside == inside
        assert found.beside == ("epoch",) * ("epoch" in stored)
        np.testing.assert_array_equal(found.arrays["fc.weight"], weight.numpy())


@pytest.mark.parametrize(
    "make, found",
    [
        (lambda t, w: {"w": t.empty(3, device="meta")}, "w has a shape but no values"),
        (lambda t, w: {"w": t.quantize_per_tensor(w, 0.1, 0, t.qint8)}, "w is quant"),
        (lambda t, w: {"w": w.to_sparse()}, "w is sparse"),
        (lambda t, w: {"w": t.ones(3, dtype=t.complex64)}, "w holds complex"),
        (lambda t, w: {"w": w * float("nan")}, r"NaN or infinity in w \(6 of 6\)"),
        (lambda t, w: {"w": t.ones(1).expand(24_159_191_040)}, "claims arrays of 96,"),
        (lambda t, w: [w, w], "a list of 2 values"),
        (lambda t, w: w, r"one tensor \(2x3\)"),
        (lambda t, w: {1: w}, "numbers in place of names"),
        (lambda t, w: {"student": {"a": w}, "teacher": {"a": w}}, "student .1 tensors"),
        (lambda t, w: t.nn.Linear(2, 2), "it holds torch.nn"),
    ],
)
def test_what_pytorch_stores_beside_weights_is_refused(tmp_path, make, found):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    torch.save(make(torch, torch.ones(2, 3)), tmp_path / "a.pth")
    with pytest.raises(InputError, match=found) as caught:
        source.read(tmp_path / "a.pth")
    assert "a.pth" in caught.value.where


class Tensor(NamedTuple):
    """Stands for torch.Tensor where PyTorch is not installed."""

    shape: tuple[int, ...] = (2, 3)


@pytest.mark.parametrize(
    "stored, inside",
    [
        ({"a.weight": Tensor()}, ()),
        ({"epoch": 1, "net": {"a": Tensor()}}, ("net",)),
        ({"model": {"a": Tensor()}, "model_ema": {"a": Tensor()}}, ("model",)),
        ({"temperature": Tensor(), "state_dict": {"a": Tensor()}}, ("state_dict",)),
        ({"optimizer": {"state": {"a": Tensor()}}, "ours": {"b": Tensor()}}, ("ours",)),
        ({"run": {"state_dict": {"a": Tensor()}}}, ("run", "state_dict")),
    ],
)
def test_the_state_dict_of_a_checkpoint(stored, inside):
    keys, tensors = pytorch.state_dict(pathlib.Path("a.pth"), stored, Tensor)
    assert keys == inside and tensors


@pytest.mark.parametrize(
    "stored, found",
    [
        (Tensor(), "one tensor (2x3)"),
        ([Tensor()], "a list of 1 values"),
        ({1: Tensor()}, "numbers in place of names"),
        (
            {"w": Tensor(), 7: Tensor()},
            "numbers in place of names beside named ones: 7",
        ),
        ({"model": {"w": Tensor(), 0: Tensor()}}, "beside named ones: 0"),
        ({"epoch": 3, "loss": 0.1}, "its keys: epoch, loss"),
        ("text", "holds a str"),
        ({"a": {"w": Tensor()}, "b": {"w": Tensor()}}, "several state dicts: a"),
    ],
)
def test_no_state_dict_is_called_what_it_is(stored, found):
    with pytest.raises(InputError, match=re.escape(found)):
        pytorch.state_dict(pathlib.Path("a.pth"), stored, Tensor)


@pytest.mark.parametrize("kind", ["npz", "safetensors", "h5"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_are_refused_where_they_are_read(tmp_path, kind, value):
    path, wrong = tmp_path / f"a.{kind}", np.ones(8, np.float32)
    wrong[3] = value
    if kind == "npz":
        np.savez(path, **{"fc.bias": wrong, "fc.num_batches_tracked": np.array(3)})
    elif kind == "safetensors":
        safetensors.numpy.save_file({"fc.bias": wrong}, path)
    else:
        with h5py.File(path, "w") as file:
            variables = file.create_group("layers/dense/vars")
            variables.attrs["name"] = "fc"
            variables["0"] = wrong
    with pytest.raises(InputError, match=r"NaN or infinity in fc.* \(1 of 8\)"):
        source.read(path)


def test_what_overflows_float32_is_infinite(tmp_path):
    np.savez(tmp_path / "a.npz", **{"fc.bias": np.array([1e300])})
    with pytest.raises(InputError, match="infinity in fc.bias"):
        source.read(tmp_path / "a.npz")


def test_npz_of_pytorch_names_is_pytorch(tmp_path):
    np.savez(tmp_path / "a.npz", **{"fc.weight": np.ones((2, 3))})
    assert source.read(tmp_path / "a.npz").format == "torch"


@pytest.mark.parametrize(
    "kind, bits", [("F8_E4M3", [0x38]), ("F8_E5M2", [0x3C]), ("BF16", [0x80, 0x3F])]
)
def test_small_floats_of_safetensors(tmp_path, kind, bits):
    entry = {"dtype": kind, "shape": [2], "data_offsets": [0, 2 * len(bits)]}
    header = json.dumps({"fc.bias": entry}).encode()
    length = len(header).to_bytes(8, "little")
    (tmp_path / "a.safetensors").write_bytes(length + header + bytes(bits * 2))
    found = source.read(tmp_path / "a.safetensors").arrays["fc.bias"]
    assert found.dtype == np.float32 and found.tolist() == [1.0, 1.0]


def claimed_npz(path):
    """A header of 90 GiB over 300 bytes."""
    np.savez(path, **{"fc.weight": np.zeros((8, 1, 3, 3), np.float32)})
    with zipfile.ZipFile(path) as archive:
        data = archive.read("fc.weight.npy")
    with zipfile.ZipFile(path, "w") as archive:
        data = data.replace(b"(8, 1, 3, 3), }", b"(24159191040,)}")
        archive.writestr("fc.weight.npy", data)


def with_dataset(path, **dataset):
    with h5py.File(path, "w") as file:
        variables = file.create_group("layers/dense/vars")
        variables.attrs["name"] = "fc"
        variables.create_dataset("0", **dataset)


def test_more_than_a_file_can_hold_is_refused_unread(tmp_path):
    claimed_npz(tmp_path / "a.npz")
    shape = (24_159_191_040,)
    with_dataset(tmp_path / "a.h5", shape=shape, dtype="f4", chunks=(65536,))
    for name in ("a.npz", "a.h5"):
        with pytest.raises(InputError, match="claims"):
            source.read(tmp_path / name)


def test_hdf5_never_reads_another_file(tmp_path):
    (tmp_path / "secret").write_bytes(bytes(32))
    elsewhere = [(str(tmp_path / "secret"), 0, 32)]
    with_dataset(tmp_path / "a.h5", shape=(8,), dtype="f4", external=elsewhere)
    with pytest.raises(InputError, match="external storage"):
        source.read(tmp_path / "a.h5")
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file.attrs["layer_names"] = [b"fc"]
        file["fc"] = h5py.ExternalLink(str(tmp_path / "a.h5"), "/layers")
    with pytest.raises(InputError, match="fc is a link to elsewhere"):
        source.read(tmp_path / "b.h5")


def test_a_reader_that_crashes_is_a_damaged_file(tmp_path, monkeypatch):
    path = tmp_path / "a.h5"
    path.write_bytes(keras.HDF5 + bytes(8))
    crash = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    real = subprocess.Popen
    monkeypatch.setattr(
        subreader.subprocess,
        "Popen",
        lambda command, **options: real([command[0], "-c", crash], **options),
    )
    with pytest.raises(InputError, match="crashed .SIGSEGV") as caught:
        source.read(path)
    assert caught.value.where == str(path)


def test_models_within_a_model_keep_their_layers(tmp_path):
    """As Keras 2 stores Sequential([base, Dense]): the base is one layer."""
    base = {
        f"{layer}/{variable}:0": np.full(3, float(i))
        for i, (layer, variable) in enumerate(
            (f"conv{n}", v) for n in range(131) for v in ("kernel", "bias")
        )
    }
    with h5py.File(tmp_path / "a.h5", "w") as file:
        root = file.create_group("model_weights")
        root.attrs["layer_names"] = [b"resnet50", b"head"]
        names = [name.encode() for name in base]
        group = root.create_group("resnet50")
        # Long lists of names are cut: an attribute holds 64 kB.
        group.attrs["weight_names0"], group.attrs["weight_names1"] = (
            names[:9],
            names[9:],
        )
        for name, array in base.items():
            group[name] = array
        root.create_group("head")["head/kernel:0"] = np.ones((3, 2))
        root["head"].attrs["weight_names"] = [b"head/kernel:0"]
    found = source.read(tmp_path / "a.h5").arrays
    assert len(found) == 263 and found["head/kernel"].shape == (3, 2)
    for name, array in base.items():
        np.testing.assert_array_equal(found[name.removesuffix(":0")], array)


def test_two_models_of_the_same_layers_do_not_overwrite_each_other(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for i, model in enumerate(("functional", "functional_1")):
            variables = file.create_group(f"layers/{model}/layers/conv2d/vars")
            variables.attrs["name"] = "stem"
            variables["0"] = np.full((3, 3, 1, 2), float(i))
    found = source.read(tmp_path / "a.h5").arrays
    assert {name: array.flat[0] for name, array in found.items()} == {
        "functional/stem/kernel": 0,
        "functional_1/stem/kernel": 1,
    }


@pytest.mark.parametrize(
    "inside, found",
    [
        (["saved_model.pb", "variables/a"], "is a TensorFlow SavedModel"),
        (["config.json", "model.safetensors"], "is a Hugging Face folder"),
        (["config.json", "flax_model.msgpack"], "Flax weights"),
        (["model-1.safetensors", "a.safetensors.index.json"], "in several files"),
        (["config.json", "model.weights.h5"], "unpacked .keras"),
        (["archive/data.pkl"], "unpacked .pth"),
        (["checkpoint", "model.index"], "a TensorFlow checkpoint"),
    ],
)
def test_folders_of_others_are_named(tmp_path, inside, found):
    for name in inside:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(InputError, match=re.escape(found)):
        foreign.refuse_folder(tmp_path)
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    (run / "config.json").touch()
    foreign.refuse_folder(run)


@pytest.mark.parametrize(
    "name, start, found",
    [
        ("a.tflite", b"\x1c\0\0\0TFL3", "TensorFlow Lite"),
        ("a.pth", b"<!DOCTYPE html><html>", "a web page"),
        ("a.pth", b"version https://git-lfs.github.com", "Git LFS"),
        ("a.onnx", b"\x08\x07", "an ONNX model"),
        ("a.npy", b"\x93NUMPY\x01\0", "without a name"),
    ],
)
def test_files_of_others_are_named(tmp_path, name, start, found):
    (tmp_path / name).write_bytes(start)
    with pytest.raises(InputError, match=found):
        source.read(tmp_path / name)


@pytest.mark.parametrize("length", [0, 3, 100])
def test_other_and_cut_off_files_are_refused(tmp_path, length):
    good = tmp_path / "good.npz"
    np.savez(good, a=np.zeros(1000))
    cut = tmp_path / "cut.npz"
    cut.write_bytes(good.read_bytes()[:length])
    text = tmp_path / "a.txt"
    text.write_text("weights")
    for path in (cut, text, tmp_path / "none.pth"):
        with pytest.raises(InputError):
            source.read(path)


def test_cut_off_hdf5_and_safetensors_are_refused(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        keras_3(file)
    safetensors.numpy.save_file({"a": np.zeros(50)}, tmp_path / "a.safetensors")
    for name in ("a.h5", "a.safetensors"):
        path = tmp_path / name
        path.write_bytes(path.read_bytes()[:-40])
        with pytest.raises(InputError, match="damaged"):
            source.read(path)


def test_hdf5_without_layers_is_refused(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = np.zeros(3)
    with pytest.raises(InputError, match="no layers with their names"):
        source.read(tmp_path / "a.h5")


def test_a_missing_package_names_its_extra(tmp_path):
    with pytest.raises(InputError, match=r"needs .*absent.*[\s\S]*cxr_jax\[weights\]"):
        optional.package("absent.numpy", "weights", tmp_path / "a.h5")


def test_a_file_that_leads_its_reader_in_a_circle(tmp_path):
    """The child is ended, and the message says why."""
    path = tmp_path / "a.h5"
    path.write_bytes(keras.HDF5)
    code = (
        "import pathlib, sys\n"
        "from cxr_jax.weights import subreader\n"
        "subreader._SECONDS = 1\n"
        "subreader.READERS['h5'] = lambda path: sum(1 for _ in iter(int, 1))\n"
        "subreader.main('h5', pathlib.Path(sys.argv[1]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, path], capture_output=True, check=False
    )
    assert done.returncode == -signal.SIGXCPU
    error = subreader._crashed(path, done.returncode, b"")
    assert str(path) in str(error) and "did not end within 60 s" in str(error)
