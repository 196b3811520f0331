"""The page as a reader uses it, in a real browser."""

import contextlib
import csv
import functools
import http.server
import io
import json
import os
import shutil
import threading

import cv2
import numpy as np
import pytest
from browser import needs_browser
from dicom_writer import make_header, save
from places import REPOSITORY

from cxr_jax import web
from cxr_jax.predict import record as record_lib
from cxr_jax.predict.recipe import from_json
from cxr_jax.view import localhost
from tfds_builders.common.text import csv_text

pytestmark = needs_browser

AXE = REPOSITORY / "web" / "node_modules" / "axe-core" / "axe.min.js"
WAIT = 60_000  # milliseconds


@pytest.fixture(scope="module")
def serve():
    """serve(bundle) -> its address, until the module ends."""
    with contextlib.ExitStack() as stack:

        def start(bundle):
            server = localhost.open_server(bundle)
            threading.Thread(target=server.serve_forever, daemon=True).start()
            stack.callback(server.server_close)
            stack.callback(server.shutdown)
            return f"http://127.0.0.1:{server.server_port}"

        yield start


@pytest.fixture(scope="module")
def address(serve, brixia_bundle):
    return serve(brixia_bundle)


@pytest.fixture
def show(browser):
    """show(address, width, scheme) -> (page with its model, what went wrong on it)."""
    contexts = []

    def opened(address, width=1360, scheme="dark", ready=True):
        context = browser.new_context(
            viewport={"width": width, "height": 860},
            color_scheme=scheme,
            accept_downloads=True,
        )
        contexts.append(context)
        page, wrong = context.new_page(), []
        page.on(
            "console",
            lambda m: wrong.append(m.text) if m.type in ("error", "warning") else None,
        )
        page.on("pageerror", lambda error: wrong.append(str(error)))
        context.on(
            "request",
            lambda request: (
                None
                if request.url.startswith((f"{address}/", "blob:"))
                else wrong.append(request.url)
            ),
        )
        page.goto(f"{address}/web/")
        if ready:
            page.wait_for_selector("html[data-ready]", timeout=WAIT)
        return page, wrong

    yield opened
    for context in contexts:
        context.close()


def drop(page, paths, words=None):
    """Gives films to the page, and waits until all are done."""
    page.set_input_files("#files", [str(path) for path in paths])
    words = words or f"{len(paths)} film"
    page.locator("#status").filter(has_text=words).wait_for(timeout=WAIT)


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    path = tmp_path_factory.mktemp("broken") / "broken.dcm"
    path.write_bytes(b"\0" * 128 + b"DICM" + b"nothing of use")
    return path


def downloaded(page):
    with page.expect_download() as waiting:
        page.click("#csv")
    assert waiting.value.suggested_filename == "predictions.csv"
    with open(waiting.value.path(), encoding="utf-8", newline="") as file:
        return file.read()


def recipe_of(bundle):
    paths = [bundle / name for name in ("bundle.json", "preprocess.json")]
    first, second = (json.loads(path.read_text()) for path in paths)
    return from_json(paths[0], first, paths[1], second)


def test_the_page_says_what_it_is(show, address):
    page, wrong = show(address)
    assert page.inner_text("#model-name") == "toy brixia"
    assert "Research only" in page.inner_text(".research")
    assert "Nothing leaves this machine" in page.inner_text("#empty")
    assert not wrong


def test_nothing_reaches_another_host(show, address, phantoms):
    page, wrong = show(address)
    drop(page, phantoms[:2])
    page.click("#show-card")
    page.frame_locator("#card iframe").get_by_text("A toy").wait_for(timeout=WAIT)
    assert not wrong
    policy = page.locator("meta[http-equiv='Content-Security-Policy']")
    assert policy.get_attribute("content").startswith("default-src 'none'")
    for url in ("https://example.org/", "http://localhost:9/"):
        attempt = "url => fetch(url, {mode: 'no-cors'}).then(() => '', e => e.name)"
        assert page.evaluate(attempt, url) == "TypeError"
    assert any("Content Security Policy" in text for text in wrong)
    # Code that was not served with the page does not run.
    page.evaluate(
        "() => { const made = document.createElement('script');"
        "made.textContent = 'window.ran = true'; document.body.append(made); }"
    )
    assert page.evaluate("() => window.ran") is None


def test_a_batch_with_a_broken_file(show, address, brixia_bundle, phantoms, broken):
    page, wrong = show(address)
    files = [phantoms[0], broken, *phantoms[1:3]]
    drop(page, files, "4 films, 1 not read")
    rows = page.locator("#rows tbody tr")
    assert rows.count() == 4
    assert "Not read" in rows.nth(1).inner_text()
    text = downloaded(page)
    table = list(csv.DictReader(io.StringIO(text)))
    recipe = recipe_of(brixia_bundle)
    assert text.split("\n")[0] == ",".join(record_lib.columns(recipe))
    assert [row["path"] for row in table] == [path.name for path in files]
    # All figures follow from the probabilities, to the bit; so does the text.
    records = []
    for row in table:
        scored = row["prob_A0"] != ""
        probs = [row[f"prob_{zone}{k}"] for zone in "ABCDEF" for k in range(4)]
        records.append(
            record_lib.record(
                recipe,
                row["path"],
                row["example_id"],
                np.float32(probs).reshape(6, 4) if scored else None,
                gate=row["gate"],
                gate_reasons=row["gate_reasons"],
                warnings=filter(None, row["warnings"].split(";")),
                error=row["error"],
            )
        )
    columns = record_lib.columns(recipe)
    lines = [[record[name] for name in columns] for record in records]
    assert csv_text([columns, *lines]) == text
    assert table[1]["error"] and not table[1]["gate"]
    shown = page.locator("#rows tbody tr").first.inner_text().split("\t")
    assert shown[1] == f"{float(table[0]['global']):.1f}"
    assert not wrong


def test_names_are_text(show, address, phantoms, tmp_path):
    name = "<img src=x onerror=alert(1)>=1+1.jpg"
    shutil.copy(phantoms[0], tmp_path / name)
    page, wrong = show(address)
    drop(page, [tmp_path / name])
    assert page.inner_text("#reading h2") == name.removesuffix(".jpg")
    assert page.locator("main img").count() == 0 and not wrong


def test_films_of_one_name_are_told_apart(show, address, phantoms):
    """Dropped, not chosen; and a second time."""
    page, _ = show(address)
    make = """async names => { const made = new DataTransfer();
      for (const name of names) made.items.add(new File(['no film'], name)); return made; }"""
    for count in (2, 4):
        carried = page.evaluate_handle(make, ["a.png", "a.jpg"])
        page.dispatch_event("body", "drop", {"dataTransfer": carried})
        words = f"{count} films, {count} not read"
        page.locator("#status").filter(has_text=words).wait_for(timeout=WAIT)
    names = page.locator("#rows tbody th").all_inner_texts()
    assert names == ["a.png", "a.jpg", "a.png", "a.jpg"]


def test_the_gate_refuses_in_words_and_can_be_overruled(show, address, tmp_path):
    rng = np.random.default_rng(0)
    noise = tmp_path / "noise.png"
    cv2.imwrite(str(noise), rng.integers(0, 256, (300, 260)).astype(np.uint8))
    page, wrong = show(address)
    drop(page, [noise], "1 film, 1 refused by the gate")
    panel = page.locator("#reading")
    assert "Not scored" in panel.inner_text()
    assert "does not look like a frontal chest film" in panel.inner_text()
    assert page.locator("#marks .zone").count() == 0
    page.click("text=Score it nevertheless")
    page.locator("#reading .figure").wait_for(timeout=WAIT)
    assert "scored with a warning" in panel.inner_text()
    assert page.locator("#marks .zone").count() == 6
    page.select_option("#gate-mode", "warn")
    page.locator("#rows").get_by_text("warned").wait_for(timeout=WAIT)
    page.select_option("#gate-mode", "refuse")
    page.locator("#rows").get_by_text("refused").wait_for(timeout=WAIT)
    assert not wrong


def test_zones_lie_at_their_side(show, address, phantoms):
    page, _ = show(address)
    drop(page, phantoms[:1])
    places = {}
    for chip in page.locator("#marks .zone").all():
        box = chip.bounding_box()
        places[chip.inner_text()[0]] = (box["x"], box["y"])
    for right, left in ("AD", "BE", "CF"):
        assert places[right][0] < places[left][0]
        assert places[right][1] == places[left][1]
    assert places["A"][1] < places["B"][1] < places["C"][1]
    sides = [side.bounding_box()["x"] for side in page.locator("#marks .side").all()]
    assert page.locator("#marks .side").all_inner_texts() == ["R", "L"]
    assert sides[0] < sides[1]


def readout(page):
    page.wait_for_timeout(50)
    return page.inner_text("#readout")


def test_the_keyboard_is_enough(show, address, phantoms):
    page, wrong = show(address)
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    drop(page, phantoms[:3])
    page.focus("#stage")
    before = readout(page)
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowUp")
    assert readout(page) != before and "W 97" in readout(page)
    page.keyboard.press("+")
    zoomed = readout(page)
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("i")
    assert (
        "inverted" in readout(page) and zoomed.split()[-2] == readout(page).split()[-2]
    )
    page.keyboard.press("0")
    assert readout(page) == before
    for key, button in (("z", "#zones-shown"), ("h", "#heat-shown")):
        was = page.get_attribute(button, "aria-pressed")
        page.keyboard.press(key)
        readout(page)
        assert page.get_attribute(button, "aria-pressed") != was
    first = page.inner_text("#reading h2")
    page.keyboard.press("n")
    second = page.inner_text("#reading h2")
    assert second != first
    page.keyboard.press("p")
    assert page.inner_text("#reading h2") == first
    page.locator("#rows tbody button").nth(1).focus()
    page.keyboard.press("Enter")
    readout(page)
    assert page.inner_text("#reading h2") == second
    kept = page.evaluate("() => document.activeElement.dataset.place")
    assert kept == "1"  # the list was made anew under it
    page.keyboard.press("?")
    assert page.locator("#keys[open]").count() == 1
    page.keyboard.press("Escape")
    assert page.locator("#keys[open]").count() == 0
    assert not wrong


def test_a_film_is_moved_zoomed_and_windowed_with_the_mouse(show, address, phantoms):
    page, _ = show(address)
    drop(page, phantoms[:1])
    box = page.locator("#stage").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    grey = (
        "() => [...document.querySelector('#film').getContext('2d').getImageData(0, 0,"
    )
    grey += "document.querySelector('#film').width, 1 + document.querySelector('#film')"
    grey += ".height / 2).data].reduce((a, b) => a + b, 0)"
    whole = page.evaluate(grey)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 80, y + 60)
    page.mouse.up()
    assert "W 80" in readout(page) and page.evaluate(grey) != whole
    page.mouse.wheel(0, -300)
    zoomed = readout(page)
    assert zoomed.split()[-2] != "100"
    page.mouse.dblclick(x, y)
    assert "W 100" in readout(page) and page.evaluate(grey) == whole


def test_rows_are_sorted(show, address, phantoms):
    page, _ = show(address)
    drop(page, phantoms[:6])
    for falling in (False, True):
        page.click("[data-sort=global]")
        page.wait_for_timeout(100)
        cells = page.locator("#rows tbody tr td:nth-child(2)").all_inner_texts()
        figures = [float(text) for text in cells if text]
        assert figures == sorted(figures, reverse=falling) and len(figures) > 3


def test_two_classes(show, serve, class_bundle, phantoms):
    page, wrong = show(serve(class_bundle))
    drop(page, phantoms[:2])
    recipe = recipe_of(class_bundle)
    table = list(csv.DictReader(io.StringIO(downloaded(page))))
    assert [*table[0]] == [*record_lib.columns(recipe)]
    assert table[0]["gate"] == "off"
    called = page.inner_text("#reading .figure")
    assert called == table[0]["called"]
    assert (float(table[0]["prob_COVID"]) >= 0.4) == (called == "COVID")
    assert page.locator("#reading .share .tick").count() == 1
    assert not wrong


def test_fifty_films_in_one_drop(show, address, phantoms):
    page, wrong = show(address)
    drop(page, phantoms[:50])
    assert page.locator("#rows tbody tr").count() == 50
    assert page.locator("#rows").get_by_text("Waiting").count() == 0
    assert not wrong


def test_a_film_of_30_MB(show, address, tmp_path):
    rng = np.random.default_rng(0)
    film = cv2.resize(rng.random((40, 30)), (4000, 4000), interpolation=cv2.INTER_CUBIC)
    codes = np.clip(film * 4095, 0, 4095).astype(np.uint16)
    path = save(tmp_path / "large.dcm", make_header(codes))
    assert path.stat().st_size > 30e6
    page, wrong = show(address)
    drop(page, [path])
    assert "4000 x 4000" in page.inner_text("#reading") and not wrong


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_narrow_screen(show, address, phantoms, broken, scheme):
    page, _ = show(address, 400, scheme)
    width = "() => document.documentElement.scrollWidth"
    assert page.evaluate(width) <= 400
    drop(page, [*phantoms[:2], broken])
    assert page.evaluate(width) <= 400
    page.evaluate("() => window.scrollTo(0, document.body.scrollHeight)")
    box = page.locator(".research").bounding_box()
    assert 0 <= box["y"] < 860  # always in sight
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


@pytest.mark.skipif(not AXE.exists(), reason="no axe-core: make web installs it")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("task", ["brixia", "classify"])
def test_axe_finds_nothing(
    show, serve, brixia_bundle, class_bundle, phantoms, broken, tmp_path, scheme, task
):
    bundle = brixia_bundle if task == "brixia" else class_bundle
    page, _ = show(serve(bundle), scheme=scheme)
    blank = tmp_path / "blank.png"
    cv2.imwrite(str(blank), np.full((100, 90), 80, np.uint8))

    def check(what):
        page.evaluate(AXE.read_text())
        found = page.evaluate("async () => (await axe.run()).violations")
        short = [(each["id"], [n["html"] for n in each["nodes"]][:3]) for each in found]
        assert not short, what

    check("empty")
    drop(page, [*phantoms[:2], blank, broken])
    check("a film")
    for place in (2, 3):
        page.locator(f"[data-place='{place}']").click()
        page.wait_for_timeout(100)
        check(f"film {place}")
    page.click("#show-keys")
    check("keys")


@pytest.fixture
def served_once(brixia_bundle):
    """(address, stop) of a server."""
    server = localhost.open_server(brixia_bundle)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def stop():
        server.shutdown()
        server.server_close()

    return f"http://127.0.0.1:{server.server_port}", stop


def test_without_a_network(show, served_once, phantoms):
    """Once seen, the page and its model work with the server gone."""
    address, stop = served_once
    page, _ = show(address)
    waiting = "() => navigator.serviceWorker.ready.then(() => true)"
    assert page.evaluate(waiting)
    stop()
    page.reload()
    page.wait_for_selector("html[data-ready]", timeout=WAIT)
    drop(page, phantoms[:1])
    assert page.locator("#marks .zone").count() == 6
    names = page.evaluate("() => caches.keys()")
    kinds = sorted(name.split("-")[0] for name in names)
    assert kinds == ["bundle", "page"]
    assert all(len(name.rsplit("-", 1)[1]) == 16 for name in names)


def test_any_static_server_will_do(show, brixia_bundle, phantoms):
    """One without our headers, in a folder of its own."""
    handler = functools.partial(
        http.server.SimpleHTTPRequestHandler, directory=str(brixia_bundle)
    )
    handler.log_message = lambda *_: None
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    page, _ = show(f"http://127.0.0.1:{server.server_port}")
    drop(page, phantoms[:1])
    assert page.locator("#marks .zone").count() == 6
    server.shutdown()
    server.server_close()


def test_threads_where_the_page_is_isolated(show, address):
    page, _ = show(address)
    assert page.evaluate("() => crossOriginIsolated")
    if (os.cpu_count() or 1) > 1:
        assert "threads" in page.locator("#facts").text_content()


@pytest.mark.parametrize(
    "name, damage, words",
    [
        ("model.onnx", lambda data: data[:-1] + b"\0", "is not the file"),
        ("bundle.json", lambda data: data[:20], "is not the file"),
        ("bundle.json", None, "is not beside this page"),
    ],
)
def test_a_damaged_bundle_is_refused(
    show, serve, brixia_bundle, tmp_path, name, damage, words
):
    bundle = tmp_path / "bundle"
    shutil.copytree(brixia_bundle, bundle)
    if damage:
        path = bundle / name
        path.write_bytes(damage(path.read_bytes()))
    else:
        (bundle / name).unlink()
    page, _ = show(serve(bundle), ready=False)
    page.locator("#trouble").filter(has_text=words).wait_for(timeout=WAIT)
    assert name in page.inner_text("#trouble")


def test_the_licences_name_what_is_inside():
    text = (web.PAGE / "LICENSES.txt").read_text()
    packages = json.loads((REPOSITORY / "web" / "package.json").read_text())
    for name, version in packages["dependencies"].items():
        assert f"{name} {version}" in text
