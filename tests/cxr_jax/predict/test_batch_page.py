"""The page of a batch in a browser: what it sorts by, and what it leaves out."""

import numpy as np
import pytest
from browser import needs_browser, opened_browser
from scorers import made_recipe

from cxr_jax.predict import batch_page, recipe, record, store
from tfds_builders.common.text import csv_text

pytestmark = needs_browser
CLASSES = ("COVID", "Normal", "Viral")
PROBS = np.array([[0.7, 0.1, 0.2], [0.1, 0.6, 0.3], [0.2, 0.3, 0.5], [0.3, 0.3, 0.4]])


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page of four films and one that could not be read."""
    made = made_recipe(
        task=recipe.CLASSIFY, classes=CLASSES, questions=("",), name="three classes"
    )
    columns = record.columns(made)
    lines = []
    for number, probs in enumerate(PROBS):
        row = dict.fromkeys(columns, "")
        row |= {"path": f"f{number}.png", "example_id": f"f{number}", "gate": "passed"}
        row |= {f"prob_{name}": str(p) for name, p in zip(CLASSES, probs, strict=True)}
        row |= {"confidence": str(probs.max()), "called": CLASSES[probs.argmax()]}
        lines.append(tuple(row.values()))
    broken = dict.fromkeys(columns, "") | {"path": "broken.png", "error": "truncated"}
    lines.append(tuple((broken | {"example_id": "broken"}).values()))
    output = tmp_path_factory.mktemp("batch")
    (output / store.PART).write_text(csv_text([tuple(columns), *lines]))
    batch_page.write(output, made, len(lines))
    with opened_browser() as browser:
        opened = browser.new_page()
        opened.goto((output / store.PAGE).as_uri())
        yield opened


def films(page):
    return page.locator("#films .id").all_inner_texts()


@pytest.mark.parametrize("place, name", [*enumerate(CLASSES)])
def test_it_sorts_and_filters_by_the_probability_of_any_class(page, place, name):
    page.locator("#sort").select_option(f"probability of {name}")
    order = np.argsort(-PROBS[:, place], kind="stable")
    assert films(page) == [*(f"f{k}" for k in order), "broken"]
    page.locator("#least").fill("0.25")
    assert films(page) == [f"f{k}" for k in order if PROBS[k, place] >= 0.25]
    assert name in page.locator("#least-label").inner_text()
    page.locator("#least").fill("")


def test_sorting_by_something_else_keeps_the_class_of_the_filter(page):
    page.locator("#sort").select_option("probability of Normal")
    page.locator("#sort").select_option("film")
    page.locator("#least").fill("0.25")
    assert films(page) == ["f1", "f2", "f3"]
    page.locator("#least").fill("")
