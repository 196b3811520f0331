"""How long a bundle's page takes: to the first score, and then for each film.

python -m benchmarks.page --bundle=BUNDLE --films=FOLDER; README.md says what is measured.
"""

from __future__ import annotations

import contextlib
import pathlib
import statistics
import time
from collections.abc import Sequence
from typing import NamedTuple

from absl import flags

from benchmarks import browser, machine
from tfds_builders.common import command, places
from tfds_builders.common.errors import InputError

_WAIT = 120_000  # milliseconds
_SUFFIXES = (".dcm", ".png", ".jpg", ".jpeg")
_BUNDLE = flags.DEFINE_string("bundle", None, "An exported bundle.", required=True)
_FILMS = flags.DEFINE_string("films", None, "A folder of films.", required=True)
_COUNT = flags.DEFINE_integer("count", 20, "Films of the folder, evenly chosen.")
_REPEATS = flags.DEFINE_integer("repeats", 5, "Browsers that are started anew.")


def main(argv: list[str]) -> int:
    if len(argv) > 1:
        raise InputError("command line", f"{argv[1:]}: unknown", "see --help")
    bundle = places.expanded(_BUNDLE.value)
    films = choose(places.expanded(_FILMS.value), _COUNT.value)
    print(f"{machine.describe('playwright')}; {len(films)} films of {_FILMS.value}")
    print("| browser | first score, s | CPU, s | each film, s | CPU, s | threads |")
    print("|---|---|---|---|---|---|")
    found = []
    with browser.served(bundle) as address:
        for number in range(_REPEATS.value):
            found.append(measure(address, films))
            print(_row(str(number + 1), found[-1]), flush=True)
    middle = map(statistics.median, list(zip(*found, strict=True))[:4])
    print(_row("median", Times(*middle, "")))
    return 0


class Times(NamedTuple):
    """Seconds on the clock and of all processors, to the first score and a film."""

    first: float
    first_cpu: float
    each: float
    each_cpu: float
    threads: str


def _row(name: str, found: Times) -> str:
    numbers = f"{found.first:.2f} | {found.first_cpu:.2f} | {found.each:.3f}"
    return f"| {name} | {numbers} | {found.each_cpu:.3f} | {found.threads} |"


def choose(folder: pathlib.Path, count: int) -> list[pathlib.Path]:
    """`count` films of a folder, evenly spread over their names."""
    found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in _SUFFIXES)
    if not found:
        raise InputError(folder, "holds no film", "give DICOM, PNG or JPEG files")
    return found[:: max(len(found) // count, 1)][:count]


def measure(address: str, films: Sequence[pathlib.Path]) -> Times:
    """What a browser takes that has never seen the page.

    The first film is given as soon as the page is there, and waits for its model.
    """
    from playwright.sync_api import sync_playwright

    if reason := browser.lacking():
        raise InputError("the page", reason, "install what is missing")
    with sync_playwright() as driver:
        opened = browser.launch(driver)
        page = opened.new_page(viewport={"width": 1360, "height": 860})
        begin = _clocks()
        page.goto(address)
        _give(page, films[:1], 1)
        first = _since(begin)
        page.evaluate("() => navigator.serviceWorker.ready.then(() => true)")
        begin = _clocks()
        _give(page, films, len(films) + 1)
        each = [seconds / len(films) for seconds in _since(begin)]
        facts = page.locator("#facts").text_content() or ""
        opened.close()
    said = next((part for part in facts.split(". ") if "thread" in part), "")
    return Times(*first, *each, said.strip(". "))


def _clocks() -> tuple[float, float]:
    """Now, and the seconds of processor that the browser has taken."""
    import psutil

    total = 0.0
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system
    return time.perf_counter(), total


def _since(begin: tuple[float, float]) -> list[float]:
    return [now - then for now, then in zip(_clocks(), begin, strict=True)]


def _give(page, films: Sequence[pathlib.Path], total: int) -> None:
    page.set_input_files("#files", [str(path) for path in films])
    words = f"{total} film{'s' if total > 1 else ''}"
    page.locator("#status").get_by_text(words).wait_for(timeout=_WAIT)


if __name__ == "__main__":
    command.run(main)
