"""The page in a real browser: without errors, without a network, at any width."""

import pytest
from browser import needs_browser

pytestmark = needs_browser


@pytest.fixture
def show(browser, brixia_run):
    """show(width, scheme) -> (page, what went wrong on it)."""

    def opened(width=1100, scheme="light"):
        page = browser.new_page(
            viewport={"width": width, "height": 900}, color_scheme=scheme
        )
        wrong = []
        page.on(
            "console",
            lambda m: wrong.append(m.text) if m.type in ("error", "warning") else None,
        )
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("requestfailed", lambda request: wrong.append(request.url))
        page.on(
            "request",
            lambda request: (
                None
                if request.url.startswith(("file:", "data:"))
                else wrong.append(request.url)
            ),
        )
        page.goto((brixia_run / "report" / "report.html").as_uri())
        return page, wrong

    return opened


def test_the_page_opens_prints_and_sorts(show):
    page, wrong = show()
    assert "research" in page.inner_text("header")
    pictures = page.evaluate(
        """async () => {
          const links = [...document.querySelectorAll('image, img')]
            .map(each => each.getAttribute('href') || each.getAttribute('xlink:href') || each.src);
          const sizes = await Promise.all(links.map(async link => {
            const picture = new Image(); picture.src = link;
            await picture.decode(); return picture.naturalWidth; }));
          return sizes; }"""
    )
    assert pictures and min(pictures) > 0
    drawn = page.evaluate(
        """() => [...document.querySelectorAll('figure svg')]
          .map(each => each.getBoundingClientRect()).map(box => [box.width, box.height])"""
    )
    assert drawn and min(min(each) for each in drawn) > 50
    check_sorting(page)
    assert len(page.pdf()) > 50_000
    assert not wrong


def check_sorting(page):
    page.click("summary:has-text('All metrics')")
    head = page.locator("#table-metrics th button").nth(1)
    for order in (1, -1):
        head.click()
        keys = page.evaluate(
            "() => [...document.querySelectorAll('#table-metrics tbody tr')]"
            ".map(row => row.cells[1].dataset.key)"
        )
        known = [float(key) for key in keys if key]
        assert len(known) > 20 and known == sorted(known, reverse=order < 0)
        assert not any(keys[len(known) :])  # what is undefined stays last
    rising = page.locator("#table-metrics th").nth(1).get_attribute("aria-sort")
    assert rising == "descending"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_a_narrow_screen_in_light_and_dark_mode(show, scheme):
    page, wrong = show(400, scheme)
    width = page.evaluate("() => document.documentElement.scrollWidth")
    assert width <= 400
    ink, paper = (
        page.evaluate(
            "name => getComputedStyle(document.body)[name].match(/\\d+/g).slice(0, 3)"
            ".reduce((sum, part) => sum + Number(part), 0) / 3",
            name,
        )
        for name in ("color", "backgroundColor")
    )
    light, dark = (ink, paper) if scheme == "dark" else (paper, ink)
    assert light > 200 and dark < 60
    words = page.evaluate(
        """() => [...document.querySelectorAll('figure:not(.cases figure) svg text')]
          .map(each => getComputedStyle(each).fill)"""
    )
    assert words and not wrong
    # Text of figures is that of the page, or is drawn on a coloured cell.
    own = page.evaluate("() => getComputedStyle(document.body).color")
    assert sum(fill == own for fill in words) > len(words) / 2
