"""The browser that the tests use: that of the system, headless."""

import contextlib
import shutil

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
BROWSER = next((path for name in _NAMES if (path := shutil.which(name))), None)
_SETTINGS = (
    "--headless=new",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-sandbox",
)

needs_browser = pytest.mark.skipif(
    BROWSER is None, reason=f"no browser here: none of {', '.join(_NAMES)}"
)


@contextlib.contextmanager
def opened_browser():
    """A browser that reaches no update server; the test is skipped without Playwright."""
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=BROWSER, args=[*_SETTINGS])
        yield browser
        browser.close()
