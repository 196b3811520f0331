"""The browser that the tests use: that of the system, headless."""

import contextlib

import pytest

from benchmarks.browser import NAMES, executable

BROWSER = executable()
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
    BROWSER is None, reason=f"no browser here: none of {', '.join(NAMES)}"
)


@contextlib.contextmanager
def opened_browser():
    """A browser that reaches no update server; the test is skipped without Playwright."""
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=BROWSER, args=[*_SETTINGS])
        yield browser
        browser.close()
