"""Writes docs/example_sweep.html: python -m docs.make.example_sweep runs/readers.

The folder is that of a sweep that `launch.collect` has answered.
"""

import pathlib
import sys

from docs.make.alone import without_files


def main(folder: pathlib.Path) -> None:
    text = (folder / "answer" / "answer.html").read_text(encoding="utf-8")
    out = pathlib.Path(__file__).parents[1] / "example_sweep.html"
    out.write_text(without_files(text), encoding="utf-8")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
