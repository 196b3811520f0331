"""Weights in forms that are not read: each by its name, with the way out."""

from __future__ import annotations

import pathlib

from tfds_builders.common.errors import InputError

_KERAS_FILE = (
    "load it in Keras and save it as one file: model.save_weights('x.weights.h5')"
)
_STATE_DICT = "where it was made: torch.save(model.state_dict(), 'weights.pth')"

# (files of which one lies in such a folder, what it is, what to do).
_FOLDERS = (
    (("saved_model.pb", "saved_model.pbtxt"), "a TensorFlow SavedModel", _KERAS_FILE),
    (("model.weights.h5",), "an unpacked .keras file", "give model.weights.h5 in it"),
    (("data.pkl", "*/data.pkl"), "an unpacked .pth file", "give the .pth itself"),
    (
        ("*.safetensors.index.json", "pytorch_model.bin.index.json"),
        "a Hugging Face folder with its weights in several files",
        "load the model there and save it as one file: safetensors.torch.save_file",
    ),
    (
        ("model.safetensors", "*.safetensors"),
        "a Hugging Face folder",
        "give the .safetensors file in it, and not the folder",
    ),
    (
        ("pytorch_model.bin", "*.pth", "*.pt", "*.h5", "*.npz", "tf_model.h5"),
        "a folder with files of weights, not a run",
        "give the one file in it that you mean",
    ),
    (
        ("flax_model.msgpack", "*.msgpack"),
        "a folder of Flax weights (msgpack)",
        "save the parameters as .npz under our names: docs/weights.md",
    ),
    (("checkpoint", "*.ckpt.index", "*.index"), "a TensorFlow checkpoint", _KERAS_FILE),
)

# (first bytes, where they begin, what it is, what to do).
_STARTS = (
    (b"TFL3", 4, "a TensorFlow Lite model", "give the Keras model it was made from"),
    (b"GGUF", 0, "a GGUF file", "give the PyTorch or .safetensors file"),
    (b"\x1f\x8b", 0, "compressed (gzip)", "unpack it first"),
    (b"BZh", 0, "compressed (bzip2)", "unpack it first"),
    (b"\xfd7zXZ", 0, "compressed (xz)", "unpack it first"),
    (b"<!DOCTYPE", 0, "a web page, not what it linked to", "download the file itself"),
    (b"<html", 0, "a web page, not what it linked to", "download the file itself"),
    (
        b"version https://git-lfs",
        0,
        "a pointer of Git LFS, not the file",
        "run git lfs pull where it was cloned",
    ),
    (b"\x93NUMPY", 0, "one array (.npy) without a name", "save it with np.savez"),
)

_ENDINGS = {
    ".onnx": ("an ONNX model", "give the PyTorch or Keras weights it was made from"),
    ".pb": ("a TensorFlow graph", _KERAS_FILE),
    ".msgpack": ("Flax weights (msgpack)", "save them as .npz: docs/weights.md"),
    ".ckpt": ("no checkpoint of PyTorch", _STATE_DICT),
    ".index": ("a part of a TensorFlow checkpoint", _KERAS_FILE),
    ".data-00000-of-00001": ("a part of a TensorFlow checkpoint", _KERAS_FILE),
}


def refuse_folder(path: pathlib.Path) -> None:
    """Refuses a folder that holds weights of another project in place of a run."""
    if (path / "checkpoints").is_dir() and (path / "config.json").is_file():
        return
    for patterns, what, hint in _FOLDERS:
        if any(next(path.glob(pattern), None) for pattern in patterns):
            raise InputError(path, f"is {what}", hint)


def refuse_file(path: pathlib.Path, start: bytes) -> None:
    """Refuses a file of another form by its first 16 bytes or its ending."""
    for begin, offset, what, hint in _STARTS:
        if start[offset:].startswith(begin[: 16 - offset]):
            raise InputError(path, f"is {what}", hint)
    for ending, (what, hint) in _ENDINGS.items():
        if path.name.endswith(ending):
            raise InputError(path, f"is {what}", hint)
