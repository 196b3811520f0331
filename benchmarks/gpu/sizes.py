"""How much is measured: of a GPU in nine minutes, or of any CPU in two."""

from __future__ import annotations

from typing import NamedTuple


class Sizes(NamedTuple):
    """What the rows are of.

    Attributes:
      steps: (model, dtype) of each row of training steps, in order of worth.
      side: of a model's images in pixels.
      batches: per step, tried in this order while there is time; the best counts.
      seconds: of one timing, at least.
      repeats: timings of each, in turns.
      matrix: side of the matrices of the greatest product; copied: bytes of the copy.
      loop_model, loop_batch: of the loop, the predictions and the whole training.
      stored: side of the drawn films in pixels.
      pictures: on the device, of the loop; calls: of up to 32 steps that are timed.
      members: how many at once; member_model, member_side, member_batch: of each.
      films, epochs, workers: of the whole training, and processes of a DataLoader.
    """

    steps: tuple[tuple[str, str], ...]
    side: int
    batches: tuple[int, ...]
    seconds: float
    repeats: int
    matrix: int
    copied: int
    loop_model: str
    loop_batch: int
    stored: int
    pictures: int
    calls: int
    members: tuple[int, ...]
    member_model: str
    member_side: int
    member_batch: int
    films: int
    epochs: int
    workers: int


FULL = Sizes(
    steps=(
        ("resnet50", "bfloat16"),
        ("densenet121", "bfloat16"),
        ("convnext_tiny", "bfloat16"),
        ("resnet18", "bfloat16"),
        ("mobilenet_v2", "bfloat16"),
        ("bsnet", "bfloat16"),
        ("resnet50", "float32"),
        ("densenet121", "float32"),
        ("resnet18", "float32"),
        ("mobilenet_v2", "float32"),
        ("convnext_tiny", "float32"),
        ("bsnet", "float32"),
    ),
    side=224,
    batches=(256, 512, 128),
    seconds=1.0,
    repeats=5,
    matrix=8192,
    copied=4 << 30,
    loop_model="resnet50",
    loop_batch=256,
    stored=256,
    pictures=8192,
    calls=8,
    members=(1, 8, 32),
    member_model="resnet18",
    member_side=128,
    member_batch=32,
    films=20_000,
    epochs=5,
    workers=12,
)

SMOKE = Sizes(
    steps=(("s4_cnn", "float32"), ("cnn", "bfloat16")),
    side=16,
    batches=(8,),
    seconds=0.05,
    repeats=2,
    matrix=256,
    copied=1 << 20,
    loop_model="s4_cnn",
    loop_batch=8,
    stored=64,
    pictures=32,
    calls=1,
    members=(1, 2),
    member_model="cnn",
    member_side=32,
    member_batch=8,
    films=32,
    epochs=2,
    workers=1,
)
