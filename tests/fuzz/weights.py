"""Weights: .pth, .safetensors, .h5, .npz and .keras."""

import functools
import io
import json
import pickle
import struct
from pathlib import Path

import h5py
import numpy as np
import safetensors.numpy

from cxr_jax.weights import source
from tests.fuzz import mutations
from tests.fuzz.case import Case, Kind, Original, Reading
from tests.fuzz.mutations import pick
from tests.fuzz.tables import unzipped, zipped


def _arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "conv1.weight": rng.normal(size=(8, 1, 3, 3)).astype(np.float32),
        "conv1.bias": rng.normal(size=8).astype(np.float32),
        "fc.weight": rng.normal(size=(4, 8)).astype(np.float32),
    }


def _nan() -> np.ndarray:
    array = np.ones(8, np.float32)
    array[3] = np.nan
    return array


# What stands in place of the bias; finite numbers of a common type are read.
_AWKWARD = {
    "nan": (_nan(), "noted"),
    "inf": (np.full(8, np.inf, np.float32), "noted"),
    "integers": (np.arange(8), "any"),
    "half": (np.ones(8, np.float16), "any"),
    "double beyond single": (np.full(8, 1e300), "any"),
    "a number": (np.float32(3), "any"),
    "empty": (np.zeros((0, 3), np.float32), "any"),
    "big endian": (np.ones(8, ">f4"), "any"),
    "complex": (np.ones(8, np.complex64), "any"),
    "boolean": (np.ones(8, bool), "any"),
}


def _with(name: str) -> dict[str, np.ndarray]:
    return _arrays() | {"conv1.bias": _AWKWARD[name][0]}


def _pick_structure(rng, structures, bytes_of) -> tuple[str, bytes, str]:
    title = pick(rng, [*structures, *_AWKWARD])
    if title in structures:
        make, demand = structures[title]
        return title, make(rng), demand
    return title, bytes_of(_with(title)), _AWKWARD[title][1]


def _kind(name: str, originals, structure) -> Kind:
    """A format.

    structure: rng -> (title, content, demand).
    """

    def mutate(rng, index: int) -> Case:
        original = originals()[index]
        how = rng.random()
        if how < 0.04:
            return mutations.no_file(rng, original)
        if how < 0.5:
            return mutations.damage(
                rng, originals(), index, lengths="any", hole_demand="any"
            )
        return Case(original.name, *structure(rng))

    def place(folder: Path, case: Case) -> Path:
        return mutations.place(folder / name, case)

    return Kind(originals, mutate, place, read)


def read(path: Path) -> Reading:
    found = source.read(path)
    return Reading({"format": found.format, **found.arrays})


# --- .npz


def _npz(arrays) -> bytes:
    members = {}
    for name, array in arrays.items():
        out = io.BytesIO()
        np.save(out, array)
        members[f"{name}.npy"] = out.getvalue()
    return zipped(members)


@functools.cache
def npzs() -> tuple[Original, ...]:
    return (Original("npz", _npz(_arrays())),)


def _claimed(rng) -> bytes:
    """A header that claims 90 GiB in 300 bytes."""
    members = unzipped(npzs()[0].data)
    name = "conv1.weight.npy"
    old, new = b"(8, 1, 3, 3), }", b"(24159191040,)}"
    members[name] = members[name].replace(old, new)
    return zipped(members)


def _member(change):
    def make(rng) -> bytes:
        members = unzipped(npzs()[0].data)
        name = pick(rng, sorted(members))
        members[name] = change(rng, members[name])
        return zipped(members)

    return make


_NPZ = {
    "claims 90 GiB": (_claimed, "noted"),
    "objects": (
        lambda rng: _npz({"a": np.array([{}, None], object)}),
        "noted",
    ),
    "records": (lambda rng: _npz({"a": np.zeros(3, "f4,i4")}), "any"),
    "texts": (lambda rng: _npz({"a": np.array(["x", "y"])}), "any"),
    "no members": (lambda rng: zipped({}), "noted"),
    "a member of another format": (lambda rng: zipped({"a.npy": b"abc"}), "noted"),
    "a member without ending": (lambda rng: zipped({"a": b"abc"}), "any"),
    **{
        f"member: {name}": (_member(change), "any")
        for name, change in (mutations.LENGTHS | mutations.IN_PLACE).items()
    },
}
NPZ = _kind("weights.npz", npzs, lambda rng: _pick_structure(rng, _NPZ, _npz))

# --- .safetensors


@functools.cache
def tensors() -> tuple[Original, ...]:
    return (Original("safetensors", safetensors.numpy.save(_arrays())),)


def _header(change):
    """A safetensors file with a changed header: {name: {dtype, shape, offsets}}."""

    def make(rng) -> bytes:
        data = tensors()[0].data
        (length,) = struct.unpack_from("<Q", data)
        header = json.loads(data[8 : 8 + length])
        changed = change(header)
        text = changed if isinstance(changed, bytes) else json.dumps(header).encode()
        return struct.pack("<Q", len(text)) + text + data[8 + length :]

    return make


def _entry(**values):
    return _header(lambda header: header["conv1.bias"].update(values))


_SAFETENSORS = {
    "float8": (_entry(dtype="F8_E4M3", shape=[32]), "any"),
    "bfloat16": (_entry(dtype="BF16", shape=[16]), "any"),
    "type unknown": (_entry(dtype="X9"), "noted"),
    "shape too large": (_entry(shape=[1 << 40]), "noted"),
    "shape below zero": (_entry(shape=[-8]), "noted"),
    "shape text": (_entry(shape="8"), "noted"),
    "offsets beyond": (_entry(data_offsets=[0, 1 << 50]), "noted"),
    "offsets reversed": (_entry(data_offsets=[32, 0]), "noted"),
    "entry null": (_header(lambda h: h.update({"conv1.bias": None})), "noted"),
    "header a list": (_header(lambda h: b"[]"), "noted"),
    "header empty": (_header(lambda h: b"{}"), "noted"),
    "header nested": (_header(lambda h: b'{"a":' * 5000 + b"}" * 5000), "noted"),
    "header not text": (_header(lambda h: b'{"\xff": 1}'), "noted"),
    "metadata not text": (_header(lambda h: h.update(__metadata__=3)), "noted"),
}
SAFETENSORS = _kind(
    "weights.safetensors",
    tensors,
    lambda rng: _pick_structure(
        rng,
        _SAFETENSORS,
        # The library stores neither of these itself.
        lambda arrays: safetensors.numpy.save(
            {
                n: np.ascontiguousarray(a, a.dtype.newbyteorder("="))
                for n, a in arrays.items()
            }
        ),
    ),
)

# --- .h5, .keras


def _keras_2(root, arrays) -> None:
    root.attrs["layer_names"] = [b"conv1", b"fc"]
    for layer in ("conv1", "fc"):
        group = root.create_group(layer)
        names = [name for name in arrays if name.startswith(layer)]
        group.attrs["weight_names"] = [f"{layer}/{n}:0".encode() for n in names]
        for name in names:
            group[f"{layer}/{name}:0"] = arrays[name]


def _keras_3(root, arrays) -> None:
    for kind, layer in (("conv2d", "conv1"), ("dense", "fc")):
        group = root.create_group(f"layers/{kind}/vars")
        group.attrs["name"] = layer
        names = [name for name in arrays if name.startswith(layer)]
        for number, name in enumerate(names):
            group[str(number)] = arrays[name]


def _h5(write, arrays=None, change=None) -> bytes:
    out = io.BytesIO()
    with h5py.File(out, "w") as file:
        write(file, _arrays() if arrays is None else arrays)
        if change:
            change(file)
    return out.getvalue()


@functools.cache
def h5s() -> tuple[Original, ...]:
    return (Original("Keras 2", _h5(_keras_2)), Original("Keras 3", _h5(_keras_3)))


def _replace(**dataset):
    """Replaces the bias by a dataset that h5py makes from these arguments."""

    def change(file):
        name = "conv1/conv1/conv1.bias:0"
        del file[name]
        file.create_dataset(name, **dataset)

    return change


def _link(file):
    del file["fc"]
    file["fc"] = h5py.SoftLink("/fc")


def _attribute(name, value):
    def change(file):
        file.attrs[name] = value

    return change


_H5_CHANGES = {
    "claims 90 GiB": (
        _replace(shape=(24159191040,), dtype="f4", chunks=(1 << 16,)),
        "noted",
    ),
    "external storage": (
        _replace(shape=(8,), dtype="f4", external=[("/etc/passwd", 0, 32)]),
        "noted",
    ),
    "link to itself": (_link, "noted"),
    "text": (_replace(data=np.array([b"x", b"y"])), "any"),
    "nothing": (_replace(data=h5py.Empty("f4")), "any"),
    "ragged": (_replace(shape=(2,), dtype=h5py.vlen_dtype(np.float32)), "any"),
    "records": (_replace(data=np.zeros(2, "f4,i4")), "any"),
    "layer missing": (lambda file: file.pop("fc"), "noted"),
    "layer a dataset": (lambda file: (file.pop("fc"), file.update(fc=[1.0])), "noted"),
    "names not text": (_attribute("layer_names", np.array([1, 2])), "noted"),
    "names a number": (_attribute("layer_names", 3), "noted"),
    "names empty": (_attribute("layer_names", h5py.Empty("f4")), "noted"),
    "names not UTF-8": (_attribute("layer_names", np.array([b"\xff\xfe"])), "noted"),
    "weights a dataset": (lambda file: file.update(model_weights=[1.0]), "noted"),
}
_H5 = {
    title: (lambda rng, c=change: _h5(_keras_2, change=c), demand)
    for title, (change, demand) in _H5_CHANGES.items()
}


def _structure_h5(rng):
    write = pick(rng, [_keras_2, _keras_3])
    return _pick_structure(rng, _H5, functools.partial(_h5, write))


H5 = _kind("weights.h5", h5s, _structure_h5)


def _keras(weights: bytes) -> bytes:
    return zipped(
        {"metadata.json": b"{}", "config.json": b"{}", "model.weights.h5": weights}
    )


@functools.cache
def kerases() -> tuple[Original, ...]:
    return (Original("keras", _keras(_h5(_keras_3))),)


def _structure_keras(rng):
    if rng.random() < 0.4:
        family = pick(rng, list(mutations.LENGTHS | mutations.IN_PLACE))
        change = (mutations.LENGTHS | mutations.IN_PLACE)[family]
        return f"weights: {family}", _keras(change(rng, _h5(_keras_3))), "any"
    title, data, demand = _structure_h5(rng)
    return title, _keras(data), demand


KERAS = _kind("model.keras", kerases, _structure_keras)

# --- .pth, written without PyTorch


def _text(text: str) -> bytes:
    data = text.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def _number(number: int) -> bytes:
    return b"\x8a\x08" + struct.pack("<q", number)


def _tuple(*items: bytes) -> bytes:
    return b"(" + b"".join(items) + b"t"


def _tensor(key: str, shape, kind="FloatStorage", count=None) -> bytes:
    """The pickle of a tensor whose storage is the member data/<key>."""
    count = int(np.prod(shape)) if count is None else count
    strides = np.cumprod([1, *shape[:0:-1]])[::-1].tolist() if shape else []
    storage = _tuple(
        _text("storage"),
        f"ctorch\n{kind}\n".encode(),
        _text(key),
        _text("cpu"),
        _number(count),
    )
    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n"
        + _tuple(
            storage + b"Q",
            _number(0),
            _tuple(*map(_number, shape)),
            _tuple(*map(_number, strides)),
            b"\x89",
            b"ccollections\nOrderedDict\n)R",
        )
        + b"R"
    )


def _dict(items: dict[str, bytes]) -> bytes:
    return b"}(" + b"".join(_text(k) + v for k, v in items.items()) + b"u"


def _pth(content: bytes, arrays) -> bytes:
    members = {"archive/data.pkl": b"\x80\x02" + content + b"."}
    for number, array in enumerate(arrays.values()):
        members[f"archive/data/{number}"] = array.tobytes()
    return zipped(
        {**members, "archive/version": b"3\n", "archive/byteorder": b"little"}
    )


_STORAGES = {"f4": "Float", "f8": "Double", "f2": "Half", "i8": "Long", "b1": "Bool"}


def _state(arrays, **options) -> dict[str, bytes]:
    return {
        name: _tensor(
            str(number),
            array.shape,
            **{
                "kind": _STORAGES.get(array.dtype.str[1:], "Float") + "Storage",
                **options,
            },
        )
        for number, (name, array) in enumerate(arrays.items())
    }


def _plain(arrays) -> bytes:
    return _pth(_dict(_state(arrays)), arrays)


@functools.cache
def pths() -> tuple[Original, ...]:
    arrays = _arrays()
    wrapped = _dict({"epoch": _number(3), "state_dict": _dict(_state(arrays))})
    return (Original("pth", _plain(arrays)), Original("wrapped", _pth(wrapped, arrays)))


def _of(make):
    return lambda rng: _pth(make(_arrays()), _arrays())


_PTH = {
    "a list": (_of(lambda a: b"](" + b"".join(_state(a).values()) + b"e"), "noted"),
    "a tensor": (_of(lambda a: _tensor("0", (8, 1, 3, 3))), "noted"),
    "integer keys": (
        _of(lambda a: b"}(" + _number(1) + _tensor("0", (8, 1, 3, 3)) + b"u"),
        "any",
    ),
    "net": (_of(lambda a: _dict({"net": _dict(_state(a))})), "any"),
    "a text": (_of(lambda a: _text("hello")), "noted"),
    "nothing": (_of(lambda a: b"N"), "noted"),
    "storage too short": (_of(lambda a: _dict(_state(a, count=1))), "noted"),
    "claims 90 GiB": (
        _of(lambda a: _dict({"w": _tensor("0", (24159191040,))})),
        "noted",
    ),
    "quantised": (_of(lambda a: _dict(_state(a, kind="QInt8Storage"))), "noted"),
    "a program": (
        _of(lambda a: b"cposix\nsystem\n" + _tuple(_text("true")) + b"R"),
        "noted",
    ),
    "a plain pickle": (lambda rng: pickle.dumps({"a": [1.0]}), "noted"),
}
PTH = _kind("weights.pth", pths, lambda rng: _pick_structure(rng, _PTH, _plain))
