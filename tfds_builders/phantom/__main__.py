"""Write a synthetic release: phantom NAME OUT --n=600."""

from absl import flags

from tfds_builders import DATASETS
from tfds_builders.common import command
from tfds_builders.common.errors import InputError
from tfds_builders.phantom import write_release

_N = flags.DEFINE_integer("n", 600, "number of images")
_SEED = flags.DEFINE_integer("seed", 0, "a different seed gives different patients")
_SIZE = flags.DEFINE_integer("size", None, "longest side in pixels")
_LAYOUT = flags.DEFINE_string(
    "layout", None, "edition of the release, if there are several"
)
_USAGE = f"python -m tfds_builders.phantom {'|'.join(DATASETS)} OUT --n=N"


def main(argv: list[str]) -> None:
    if len(argv) != 3:
        found = " ".join(argv[1:]) or "no arguments"
        raise InputError("arguments", found, f"Pass two: {_USAGE}")
    folder = write_release(
        argv[1], argv[2], _N.value, _SEED.value, _SIZE.value, _LAYOUT.value
    )
    print(f"{_N.value} synthetic images (not patients) in {folder}")


if __name__ == "__main__":
    command.run(main, interrupted="nothing of this release was kept")
