"""What the table says of a row, and how it gets into docs/results.md."""

import pathlib

import pytest

from cxr_jax.stats.estimate import Estimate
from docs.make import results as docs_make
from launch.results import outcome, results_page
from launch.results.follow_up import Audit
from launch.results.leaks import Leaks
from launch.results.measured import External, Figures
from launch.results.outcome import MEASURED, NEEDS, Outcome
from launch.results.row import Arm, Claim, Row

ROW = Row(
    "a",
    "System A",
    "accuracy",
    "as it was",
    beside=("auroc",),
    claim=Claim("accuracy 97 %", "Them 2020", "8,723 films", 0.97),
    arms={
        "reproduced": Arm("configs/a.py:as_published"),
        "honest": Arm("configs/a.py"),
    },
)


def figures(auroc):
    estimates = {
        "accuracy": Estimate(0.9, 0.85, 0.95, 214),
        "auroc": Estimate(auroc, auroc - 0.02, min(auroc + 0.02, 1), 214),
    }
    seeds = {"accuracy": [0.88, 0.92], "auroc": [auroc] * 2}
    first = pathlib.Path("runs/full/a/honest/seed=0,fold=-1")
    return Figures(
        estimates, seeds, {"accuracy": 0.7}, 214, 172, "patients", 1.0, first
    )


def made(auroc=0.9, border=0.6, shortcut=None, seen=True, **changes):
    audit = Audit(
        Estimate(border, border - 0.05, border + 0.05, 214), seen, (), shortcut
    )
    external = External(
        "covidgr:all",
        {"accuracy": Estimate(0.5, 0.4, 0.6, 37)},
        {"accuracy": Estimate(0.4, 0.3, 0.5, 37)},
        37,
        30,
        11,
    )
    found = {"honest": figures(auroc), "reproduced": figures(0.99)}
    row = Outcome(ROW, MEASURED, figures=found, external=external, audit=audit)
    return row._replace(**changes)


@pytest.mark.parametrize(
    "auroc, border, shortcut, expected",
    [
        (0.9, 0.60, None, False),  # 0.05 of 0.4 above chance at the lower end
        (0.9, 0.76, None, True),  # 0.21 of 0.4
        (0.9, 0.74, None, False),  # 0.19 of 0.4
        (0.9, 0.60, True, True),  # what the audit of the model says
    ],
)
def test_mostly_a_shortcut_is_more_than_half_above_chance(
    auroc, border, shortcut, expected
):
    row = made(auroc, border, shortcut)
    assert outcome.is_mostly_shortcut(row) is expected
    assert ("**Mostly a shortcut.**" in results_page.table([row])) is expected


def test_a_border_that_the_model_does_not_see_convicts_nobody():
    row = made(0.9, 0.89, seen=False)
    assert not outcome.is_mostly_shortcut(row)
    assert "does not see" in results_page.table([row])


def test_a_row_has_its_figures_with_interval_n_patients_and_seeds():
    text = results_page.table([made()])
    for part in (
        "accuracy 97 %",
        "8,723 films",
        "**0.900 (0.850 to 0.950)**, constant 0.700",
        "214 films of 172 patients",
        "2 seeds: 0.880 to 0.920",
        "Accuracy drops by +0.400 (+0.300 to +0.500)",
        "37 films of 30 patients, 11 copies left out",
    ):
        assert part in text


def test_leaks_and_what_short_trainings_do_otherwise_are_in_the_row():
    shared = {"train-test": 7, "val-test": 0, "train-val": 0}
    leaky = figures(0.9)._replace(leaks=Leaks(shared, shared, 214))
    row = made(is_short=True, figures={"honest": figures(0.9), "reproduced": leaky})
    row = row._replace(row=ROW._replace(quick_note="at 48 px"))
    text = results_page.table([row])
    assert "**7 of 214 test films were trained on**" in text
    assert "short trainings**: at 48 px" in text
    assert "at 48 px" not in results_page.table([row._replace(is_short=False)])


def test_the_terminal_names_rows_whole_and_says_what_to_do():
    name = "a_row_with_a_long_name"
    row = Outcome(ROW._replace(name=name), NEEDS, "no data " * 30, "get them")
    text = results_page.summary([row, made()])
    assert name in text and "-> get them" in text
    assert max(map(len, text.splitlines())) <= 88


def test_points_of_the_picture_are_those_of_the_table():
    (panel,) = (results_page.picture([made(0.9, 0.8)]) or pytest.fail("none")).axes
    values = [line.get_ydata() for line in panel.lines]
    assert any(list(v) == [0.97, 0.9, 0.9, 0.5] for v in map(list, values))
    assert results_page.picture([Outcome(ROW, NEEDS, "no data", "get them")]) is None


def test_a_row_without_a_figure_says_why_and_what_was_published():
    row = Outcome(ROW._replace(level="0.82 elsewhere"), NEEDS, "no | data", "get them")
    assert "no \\| data" in results_page.missing([row])
    protocols = results_page.protocols([row, made()])
    assert "0.82 elsewhere" in protocols and protocols.count("System A") == 1


def test_the_page_is_filled_between_its_marks():
    whole = (
        "# Results\n\nWith jax 1.\n\n![Claimed, ..](results.png)\n\n| t |\n\n"
        "## Needs the release\n\n| p |\n\n## Configs, commands, reports\n\n"
        "[`c`](configs/c.py)\n\n## Not measured\n\nEvery row."
    )
    found = docs_make.sections(whole)
    assert found["table"] == "| t |" and found["missing"] == "Every row."
    page = "above\n<!-- table -->\nold\n<!-- end -->\n<!-- commands -->\n<!-- end -->\n"
    once = docs_make.filled(page, found)
    assert "| t |" in once and "old" not in once and "](../configs/c.py)" in once
    assert docs_make.filled(once, found) == once
