"""Headless Chromium at a bundle's page."""

from __future__ import annotations

import contextlib
import pathlib
import shutil
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from cxr_jax.view import localhost
from tfds_builders.common.errors import InputError

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_WAIT = 120_000  # milliseconds, for all films


def lacking() -> str:
    """Why no picture can be taken here; '' where it can."""
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        return "Playwright is not installed (pip install playwright)"
    if executable() is None:
        return f"there is no browser: none of {', '.join(NAMES)} is on the PATH"
    return ""


def picture(
    bundle: pathlib.Path, films: Sequence[pathlib.Path], target: pathlib.Path
) -> str:
    """Serves a bundle, drops films onto its page, writes a PNG of it.

    Returns:
      What the page says of the films.

    Raises:
      InputError: the folder is no bundle, or the browser does not start.
    """
    from playwright.sync_api import sync_playwright

    with served(bundle) as address, sync_playwright() as driver:
        browser = launch(driver)
        page = browser.new_page(
            viewport={"width": 1280, "height": 880}, color_scheme="dark"
        )
        page.goto(address)
        page.set_input_files("#files", [str(path) for path in films])
        status = page.locator("#status")
        status.get_by_text(f"{len(films)} films").wait_for(timeout=_WAIT)
        page.wait_for_timeout(500)  # for the last picture of the film
        said = status.text_content() or ""
        target.write_bytes(page.screenshot())
        browser.close()
    return said


def launch(driver: Any) -> Any:
    """The browser, started by Playwright. Raises InputError where it does not start."""
    from playwright.sync_api import Error

    path = executable()
    try:
        return driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
    except Error as error:
        found = f"does not start: {error.message.splitlines()[0]}"
        raise InputError(path, found, "start it by hand to see why") from None


@contextlib.contextmanager
def served(bundle: pathlib.Path) -> Iterator[str]:
    """The address of a bundle's page, on this machine.

    Raises:
      InputError: the folder is no bundle.
    """
    localhost.check_bundle(bundle)
    server = localhost.open_server(bundle)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://{localhost.HOST}:{server.server_port}/web/"
    server.shutdown()
    server.server_close()


def executable() -> str | None:
    """The browser of the system."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)
