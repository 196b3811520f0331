"""docs/page.png: a bundle's page with synthetic films, and one that its gate refuses.

make quickstart
python -m cxr_jax.main --mode=export --checkpoint=runs/quickstart --output=bundle
python -m docs.make.page --bundle=bundle
"""

from __future__ import annotations

import pathlib
import shutil
import tempfile
import threading

import cv2
from absl import flags

from cxr_jax.view import serve
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
        server = serve.open_server(places.expanded(_BUNDLE.value))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        _picture(f"http://{serve.HOST}:{server.server_port}/web/", films)
        server.shutdown()
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


def _picture(address: str, films: list[pathlib.Path]) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page(
            viewport={"width": 1280, "height": 880}, color_scheme="dark"
        )
        page.goto(address)
        page.set_input_files("#files", [str(path) for path in films])
        page.locator("#status").get_by_text(f"{len(films)} films").wait_for()
        page.wait_for_timeout(500)  # for the last picture of the film
        page.screenshot(path=_TARGET)
        browser.close()


if __name__ == "__main__":
    command.run(main)
