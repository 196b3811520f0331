"""TensorBoard events, written without TensorFlow and without a thread.

tensorboardX's own writer hands events to a thread, in which a full disk is told to
nobody. Here its records are written by the caller, who hears of it.
"""

from __future__ import annotations

import pathlib
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np

from tfds_builders.common import files


@contextmanager
def _without(*modules: str) -> Iterator[None]:
    """For imports that would import these as well, where they are installed."""
    hidden = [name for name in modules if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


# It tries what else it could log, which takes seconds; its records need none of them.
with _without("torch", "onnx", "comet_ml", "boto3"):
    from tensorboardX.proto.event_pb2 import Event, SessionLog
    from tensorboardX.proto.summary_pb2 import Summary
    from tensorboardX.record_writer import RecordWriter

_LARGEST = float(np.finfo(np.float32).max)  # TensorBoard keeps float32
_GREY, _RGB = 1, 3  # Summary.Image.colorspace


class Board:
    """The event file of one start of a run; every write is on disk when it returns.

    Args:
      folder: of all event files of the run, made if it is not there.
      start: the step the run begins at. TensorBoard hides what earlier starts wrote
        after it, because a resumed run writes that again. (Its fast reader, the
        default, does so curve by curve, as soon as each is written again.)

    Raises:
      InputError: here and in every method, where the disk is full or the folder
        cannot be written.
    """

    def __init__(self, folder: pathlib.Path, *, start: int):
        with files.explained(folder):
            folder.mkdir(parents=True, exist_ok=True)
            # TensorBoard reads the files in the order of their names. A clock in them,
            # as is usual, would go wrong with it, and two starts within a second
            # would write to one file.
            before = [int(p.name.split(".")[3]) for p in folder.glob(_name("*"))]
            self._path = folder / _name(f"{max(before, default=0) + 1:010}")
            self._writer = RecordWriter(str(self._path))
        # Everything from the step of the mark on is hidden; what belongs to `start`
        # itself was written before the checkpoint, unless the run starts over.
        first = start + 1 if start else 0
        self._write(
            Event(file_version="brain.Event:2"),
            Event(step=first, session_log=SessionLog(status=SessionLog.START)),
        )

    def scalars(self, step: int, values: dict[str, float]) -> None:
        """Numbers by name, as 'train/loss'; those that are not finite are left out."""
        kept = [
            Summary.Value(tag=name, simple_value=float(value))
            for name, value in values.items()
            if abs(value) <= _LARGEST
        ]
        self._write(Event(step=step, summary=Summary(value=kept)))

    def image(self, step: int, name: str, pixels: np.ndarray) -> None:
        """A picture, uint8: grey [H, W], or RGB [H, W, 3]."""
        colour = pixels.ndim == 3
        stored = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR) if colour else pixels
        image = Summary.Image(
            height=pixels.shape[0],
            width=pixels.shape[1],
            colorspace=_RGB if colour else _GREY,
            encoded_image_string=cv2.imencode(".png", stored)[1].tobytes(),
        )
        value = Summary.Value(tag=name, image=image)
        self._write(Event(step=step, summary=Summary(value=[value])))

    def close(self) -> None:
        """Ends the file; nothing is lost where this is never called."""
        with files.explained(self._path):
            self._writer.close()

    def _write(self, *events: Event) -> None:
        with files.explained(self._path):
            for event in events:
                event.wall_time = time.time()
                self._writer.write(event.SerializeToString())
            self._writer.flush()


def _name(number: str) -> str:
    return f"events.out.tfevents.{number}.cxr_jax"
