"""docs/page.png: a bundle's page with synthetic films, and one that its gate refuses.

make quickstart
python -m cxr_jax.main --mode=export --checkpoint=runs/quickstart --output=bundle
python -m docs.make.page --bundle=bundle
"""

from __future__ import annotations

import pathlib
import shutil
import tempfile

import cv2
from absl import flags

from benchmarks import browser
from tfds_builders.common import command, places
from tfds_builders.common.film import read_film
from tfds_builders.phantom import write_release

_BUNDLE = flags.DEFINE_string("bundle", None, "That of the quickstart.", required=True)
_TARGET = pathlib.Path(__file__).parents[1] / "page.png"
_FILMS = 5


def main(argv: list[str]) -> int:
    del argv
    with tempfile.TemporaryDirectory() as scratch:
        films = _draw(pathlib.Path(scratch))
        browser.picture(places.expanded(_BUNDLE.value), films, _TARGET)
    return 0


def _draw(folder: pathlib.Path) -> list[pathlib.Path]:
    """Phantoms under short names, and the negative of one."""
    write_release("brixia", folder / "release", 12, size=700)
    films = []
    for number, path in enumerate(sorted((folder / "release").rglob("*.dcm"))[:_FILMS]):
        films.append(folder / f"phantom-{number + 1}.dcm")
        shutil.copy(path, films[-1])
    negative = folder / "inverted.png"
    cv2.imwrite(str(negative), 65535 - read_film(films[-1], 16).pixels)
    return [*films[:-1], negative, films[-1]]


if __name__ == "__main__":
    command.run(main)
