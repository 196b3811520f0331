"""Files of weights: recognised by what is inside, refused with a reason."""

import io
import pickle
import zipfile

import h5py
import numpy as np
import pytest
import safetensors.numpy

from cxr_jax.weights import optional, source
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
    for stored in ({"fc.weight": weight}, {"state_dict": {"module.fc.weight": weight}}):
        torch.save(stored, path)
        found = source.read(path)
        assert found.format == "torch"
        np.testing.assert_array_equal(found.arrays["fc.weight"], weight.numpy())


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
