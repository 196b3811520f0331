"""Event files, read back by a reader of our own and, where it is there, TensorBoard's.

The frame of a record: length uint64, masked CRC-32C of it, data, masked CRC-32C of
those; https://www.tensorflow.org/tutorials/load_data/tfrecord.
"""

import math
import os
import resource
import signal
import struct
import subprocess
import sys
import threading

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensorboardX.proto.event_pb2 import Event

from cxr_jax.runs.tensorboard import Board
from tfds_builders.common.errors import InputError

GREY = np.arange(20 * 30, dtype=np.uint8).reshape(20, 30)
COLOUR = np.stack([GREY, 255 - GREY, GREY // 2], axis=-1)


def crc32c(data: bytes) -> int:
    """Bit by bit, by the reversed polynomial of Castagnoli (RFC 3720)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 * (crc & 1))
    return crc ^ 0xFFFFFFFF


def masked(data: bytes) -> int:
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def records(content: bytes) -> list[bytes]:
    """Whole records; fails on a checksum that does not fit."""
    found = []
    while len(content) >= 16:
        length, of_length = struct.unpack("<QI", content[:12])
        assert masked(content[:8]) == of_length
        if len(content) < 16 + length:
            break
        data = content[12 : 12 + length]
        assert struct.unpack("<I", content[12 + length : 16 + length])[0] == masked(
            data
        )
        found.append(data)
        content = content[16 + length :]
    return found


def events(path) -> list[Event]:
    return [Event.FromString(data) for data in records(path.read_bytes())]


def values(path) -> list[tuple]:
    """(step, name, value or picture) of a file, in its order."""
    return [
        (event.step, value.tag, value.image if value.HasField("image") else number)
        for event in events(path)
        for value in event.summary.value
        for number in [value.simple_value]
    ]


def shown(folder) -> dict[str, list[int]]:
    """{name: steps} as TensorBoard defines it: a mark of a new start at a step hides
    everything at or after that step which was read before, in the order of names."""
    kept: list[tuple] = []
    for path in sorted(folder.iterdir()):
        for event in events(path):
            if event.HasField("session_log"):
                kept = [(step, tag) for step, tag in kept if step < event.step]
            kept += [(event.step, value.tag) for value in event.summary.value]
    names = {tag for _, tag in kept}
    return {name: [step for step, tag in kept if tag == name] for name in names}


def test_the_checksum_of_the_test_is_the_published_one():
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA  # RFC 3720, B.4


def test_scalars_come_back_as_written(tmp_path):
    board = Board(tmp_path, start=0)
    board.scalars(3, {"train/loss": 0.1, "lr": np.float32(1e-3), "val/mae zone": -2})
    board.scalars(7, {"train/loss": 1.5})
    (path,) = tmp_path.iterdir()
    assert "tfevents" in path.name  # by which TensorBoard finds it
    expected = [(3, "train/loss", 0.1), (3, "lr", 1e-3), (3, "val/mae zone", -2.0)]
    expected += [(7, "train/loss", 1.5)]
    for got, want in zip(values(path), expected, strict=True):
        assert got[:2] == want[:2]
        assert got[2] == np.float32(want[2])
    head = events(path)
    assert head[0].file_version == "brain.Event:2"
    assert all(event.wall_time > 1.7e9 for event in head)


def test_values_that_are_not_finite_are_left_out(tmp_path):
    board = Board(tmp_path, start=0)
    odd = {"a": math.nan, "b": math.inf, "c": -math.inf, "d": 1e39, "e": 2.0}
    board.scalars(1, odd)
    (path,) = tmp_path.iterdir()
    assert values(path) == [(1, "e", 2.0)]


@given(st.dictionaries(st.text(max_size=8), st.floats(width=32, allow_nan=False)))
def test_any_numbers_and_names(tmp_path_factory, numbers):
    folder = tmp_path_factory.mktemp("board")
    Board(folder, start=0).scalars(1, numbers)
    (path,) = folder.iterdir()
    finite = {name: x for name, x in numbers.items() if math.isfinite(x)}
    assert {name: value for _, name, value in values(path)} == finite


@pytest.mark.parametrize("pixels", [GREY, COLOUR])
def test_images_come_back_as_drawn(tmp_path, pixels):
    Board(tmp_path, start=0).image(5, "inputs", pixels)
    (path,) = tmp_path.iterdir()
    ((step, name, image),) = values(path)
    assert (step, name) == (5, "inputs")
    assert (image.height, image.width) == pixels.shape[:2]
    assert image.colorspace == (1 if pixels.ndim == 2 else 3)
    data = np.frombuffer(image.encoded_image_string, np.uint8)
    decoded = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    if pixels.ndim == 3:
        decoded = decoded[..., ::-1]  # OpenCV decodes to BGR
    np.testing.assert_array_equal(decoded, pixels)


def written(folder, start, last):
    board = Board(folder, start=start)
    for step in range(start + 1, last + 1):
        board.scalars(step, {"loss": start + step})
        if step % 2 == 0:
            board.image(step, "inputs", GREY)
    return board


def test_a_resumed_run_hides_what_it_writes_again(tmp_path):
    written(tmp_path, 0, 7).close()
    written(tmp_path, 4, 6).close()  # the checkpoint was of step 4
    assert shown(tmp_path) == {"loss": [1, 2, 3, 4, 5, 6], "inputs": [2, 4, 6]}
    written(tmp_path, 4, 9).close()
    assert shown(tmp_path) == {"loss": list(range(1, 10)), "inputs": [2, 4, 6, 8]}
    written(tmp_path, 0, 2).close()  # no checkpoint was left
    assert shown(tmp_path) == {"loss": [1, 2], "inputs": [2]}


def test_a_run_that_starts_again_hides_step_0_too(tmp_path):
    for _ in range(2):
        Board(tmp_path, start=0).image(0, "inputs", GREY)
    assert shown(tmp_path) == {"inputs": [0]}


def test_tensorboard_itself_shows_the_same(tmp_path):
    module = "tensorboard.backend.event_processing.event_accumulator"
    accumulator = pytest.importorskip(module)
    written(tmp_path, 0, 7).close()
    last = max(tmp_path.iterdir())
    last.write_bytes(last.read_bytes()[:-9])  # killed while writing step 7
    reader = accumulator.EventAccumulator(str(tmp_path)).Reload()
    assert [e.step for e in reader.Scalars("loss")] == [1, 2, 3, 4, 5, 6, 7][:6]
    written(tmp_path, 4, 6)
    reader.Reload()
    assert [(e.step, e.value) for e in reader.Scalars("loss")] == [
        *((step, step) for step in (1, 2, 3, 4)),
        *((step, 4 + step) for step in (5, 6)),
    ]
    images = reader.Images("inputs")
    assert [image.step for image in images] == [2, 4, 6]
    data = np.frombuffer(images[0].encoded_image_string, np.uint8)
    np.testing.assert_array_equal(cv2.imdecode(data, cv2.IMREAD_UNCHANGED), GREY)


def test_a_killed_run_leaves_everything_it_wrote(tmp_path):
    code = (
        "import os, pathlib, signal, sys, numpy\n"
        "from cxr_jax.runs.tensorboard import Board\n"
        "board = Board(pathlib.Path(sys.argv[1]), start=0)\n"
        "for step in range(1, 6):\n"
        "    board.scalars(step, {'loss': step})\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert shown(tmp_path) == {"loss": [1, 2, 3, 4, 5]}


def test_other_frameworks_are_neither_imported_nor_hidden(tmp_path):
    (tmp_path / "torch.py").write_text("loaded = True\n")
    code = (
        "import sys\n"
        "import cxr_jax.runs.tensorboard\n"
        "assert 'tensorflow' not in sys.modules and 'torch' not in sys.modules\n"
        "import torch\n"
        "assert torch.loaded\n"
    )
    path = os.pathsep.join([str(tmp_path), *sys.path])
    environment = {**os.environ, "PYTHONPATH": path}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


def test_nothing_is_written_in_the_background(tmp_path):
    before = threading.active_count()
    Board(tmp_path, start=0).scalars(1, {"loss": 1.0})
    assert threading.active_count() == before


def test_a_full_disk_is_reported_to_the_caller(tmp_path):
    board = Board(tmp_path, start=0)
    (path,) = tmp_path.iterdir()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = path.stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 60, limits[1]))
    try:
        board.scalars(1, {"loss": 1.0})
        with pytest.raises(InputError, match="cannot be written: File too large"):
            board.scalars(2, {"loss": 2.0})
        with pytest.raises(InputError, match="cannot be written: File too large"):
            board.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [value[:2] for value in values(path)] == [(1, "loss")]
    assert os.path.getsize(path) <= size + 60


def test_a_folder_that_cannot_be_created_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="events: cannot be written"):
        Board(tmp_path / "file" / "events", start=0)


def test_one_file_for_each_start_in_the_order_of_their_names(tmp_path):
    for start in range(12):
        Board(tmp_path, start=start)
    (tmp_path / "events.out.tfevents.1700000000.another").write_text("")
    ours = sorted(path for path in tmp_path.iterdir() if "another" not in path.name)
    marks = [events(path)[1].step for path in ours]
    assert marks == [0, *range(2, 13)]
