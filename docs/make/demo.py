"""What `make demo` does after the quickstart: export, predict, and the page's picture.

    python -m docs.make.demo --run=runs/quickstart

Prints each command before it runs it. What is there already is not made again.
"""

from __future__ import annotations

import pathlib
import shlex
import subprocess
import sys

from absl import flags

from benchmarks import browser
from tfds_builders.common import command, places
from tfds_builders.common.errors import InputError

_RUN = flags.DEFINE_string("run", "runs/quickstart", "Workdir of the quickstart.")
# As it can be typed here: .venv/bin/python.
_PYTHON = sys.executable.removeprefix(f"{pathlib.Path.cwd()}/")
_FILMS = 24
_SEED = "--seed=1"  # the quickstart's films are of 0: other patients


def main(argv: list[str]) -> int:
    if len(argv) > 1:
        raise InputError("command line", f"{argv[1:]}: unknown", "see --help")
    run = places.expanded(_RUN.value)
    demo = run / "demo"
    bundle, films, scored = demo / "bundle", demo / "films", demo / "predictions"
    print("\nThe model as a folder that needs no JAX:", flush=True)
    if not _is_there(bundle):
        _main("--mode=export", f"--checkpoint={run}", f"--output={bundle}")
    print(f"\n{_FILMS} synthetic films of patients that it has not seen:", flush=True)
    if not _is_there(films):
        _python("tfds_builders.phantom", "brixia", films, f"--n={_FILMS}", _SEED)
    print("\nTheir scores:", flush=True)
    _main(
        *("--mode=predict", f"--checkpoint={bundle}"),
        *(f"--input={films}", f"--output={scored}"),
    )
    picture = _picture(bundle, films, demo / "page.png")
    print(
        f"""
report       {run / "report" / "report.html"}
bundle       {bundle}
model card   {bundle / "card.html"}
films        {films}
predictions  {scored / "predictions.csv"}
as a page    {scored / "index.html"}
in a browser {picture}

To score films in your browser (nothing leaves this machine; Ctrl-C ends it):
  {_quoted(_command("cxr_jax.main", "--mode=view", f"--bundle={bundle}"))}
The films are synthetic. For research only; no medical device."""
    )
    return 0


def _is_there(folder: pathlib.Path) -> bool:
    if folder.exists():
        print(f"  {folder} is there already", flush=True)
    return folder.exists()


def _picture(bundle: pathlib.Path, films: pathlib.Path, target: pathlib.Path) -> str:
    """Takes the page's picture; what became of it."""
    if reason := browser.lacking():
        return f"no picture was taken: {reason}"
    print("\nThe same films on the bundle's page in a browser:", flush=True)
    try:
        said = browser.picture(bundle, sorted(films.rglob("*.dcm")), target)
    except InputError as error:
        return f"no picture was taken: {error}"
    print(said)
    return str(target)


def _main(*arguments: str) -> None:
    _python("cxr_jax.main", *arguments)


def _python(module: str, *arguments: object) -> None:
    """Raises SystemExit with the exit code of a command that fails."""
    words = _command(module, *arguments)
    print(f"$ {_quoted(words)}", flush=True)
    done = subprocess.run(words, check=False)
    if done.returncode:
        raise SystemExit(done.returncode)


def _command(module: str, *arguments: object) -> list[str]:
    return [_PYTHON, "-m", module, *map(str, arguments)]


def _quoted(words: list[str]) -> str:
    return shlex.join(words)


if __name__ == "__main__":
    command.run(main)
