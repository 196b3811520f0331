"""The report of a run: complete, correct, and never half written."""

import csv
import html.parser
import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

from cxr_jax import config as config_lib
from cxr_jax.audits import verdicts
from cxr_jax.evaluation import subgroups
from cxr_jax.report import cases, page, table, write
from cxr_jax.report.table import Table
from cxr_jax.runs import results
from cxr_jax.stats.estimate import Estimate
from cxr_jax.train import loop
from tfds_builders.common.errors import InputError


@pytest.fixture
def copied(tmp_path):
    """copied(run) -> a copy of the run that a test may change."""
    return lambda run: shutil.copytree(run, tmp_path / "run")


class References(html.parser.HTMLParser):
    """The links of a page, and its ids."""

    def __init__(self, text):
        super().__init__()
        self.links, self.ids = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name in ("src", "href", "xlink:href"):
                self.links.append((tag, value))
            if name == "id":
                self.ids.append(value)


def results_of(run):
    return json.loads((run / "results.json").read_text())


@pytest.mark.parametrize("kind", ["brixia_run", "class_run"])
def test_a_report_is_complete_and_self_contained(kind, request):
    run = request.getfixturevalue(kind)
    text = (run / "report" / "report.html").read_text()
    found = References(text)
    assert len(found.ids) == len(set(found.ids))
    for tag, link in found.links:
        if link.startswith("#"):
            assert link[1:] in found.ids, link
        elif not link.startswith("data:"):
            assert tag == "a" and (run / "report" / link).is_file(), link
    assert not re.search(r"url\((?!['\"]?(#|data:))", text)
    for figure in (run / "report" / "figures").glob("*.svg"):
        assert figure.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
        assert f'id="figure-{figure.stem}"' in text
    assert "Not a medical device" in text and "SYNTHETIC" in text
    markdown = (run / "report" / "report.md").read_text()
    for link in re.findall(r"\]\((figures/[^)]*)\)", markdown):
        assert (run / "report" / link).is_file()
    assert "Not a medical device" in markdown and "SYNTHETIC" in markdown
    assert not list(run.glob(".report*"))


def test_values_match_those_of_the_run(brixia_run):
    metrics = results_of(brixia_run)["metrics"]
    with (brixia_run / "report/tables/metrics.csv").open(newline="") as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    assert len(rows) == sum(key.startswith("test/") for key in metrics)
    for name, row in rows.items():
        expected = metrics[f"test/{name}"]
        for key, column in (("value", ""), ("lo", " lo"), ("hi", " hi")):
            cell = row["test (95 % interval)" + column]
            assert (float(cell) if cell else None) == expected[key], name
    text = (brixia_run / "report/report.html").read_text()
    error = metrics["test/mae_zone"]
    assert f'<div class="value">{error["value"]:.3f}</div>' in text
    assert f"{error['lo']:.3f} to {error['hi']:.3f}" in text
    with (brixia_run / "report/tables/confusion.csv").open(newline="") as file:
        cells = [[int(cell) for cell in row[1:]] for row in list(csv.reader(file))[1:]]
    assert cells == results_of(brixia_run)["confusion"]["test"]["target_by_called"]


def test_the_same_run_gives_the_same_report(brixia_run):
    folder = brixia_run / "report"
    first = {p: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
    assert write.write(brixia_run) == 0
    assert first == {p: p.read_bytes() for p in first}
    assert len(first) == len([p for p in folder.rglob("*") if p.is_file()])


def test_scores_by_group_are_tabulated(brixia_run, copied, monkeypatch):
    monkeypatch.setattr(subgroups, "LEAST", 2)
    run = copied(brixia_run)
    write.write(run)
    rows = (run / "report/tables/limits.csv").read_text().splitlines()
    assert len(rows) > 2 and rows[0].startswith("attribute,group,images")


def test_html_in_names_stays_text(brixia_run, copied):
    run = copied(brixia_run)
    run = run.rename(run.with_name("<img src=x>"))
    write.write(run)
    for name in ("report.md", "report.html"):
        text = (run / "report" / name).read_text()
        assert "<img src=x>" not in text and "&lt;img src=x" in text


def test_a_failure_leaves_the_previous_report(brixia_run, monkeypatch):
    before = (brixia_run / "report/report.html").read_bytes()

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(page, "to_markdown", full)
    with pytest.raises(InputError, match=r"No space left(.|\n)*free there"):
        write.write(brixia_run)
    assert (brixia_run / "report/report.html").read_bytes() == before
    assert not list(brixia_run.glob(".report*"))


def test_a_folder_that_is_not_a_run_is_refused(tmp_path, brixia_run, copied):
    with pytest.raises(InputError, match="config.json"):
        write.write(tmp_path / "nothing")
    run = copied(brixia_run)
    (run / "results.json").unlink()
    with pytest.raises(InputError, match="is not finished"):
        write.write(run)


def test_the_command(brixia_run, environment):
    done = subprocess.run(
        [sys.executable, "-m", "cxr_jax.main", "--mode=report",
         f"--workdir={brixia_run}"],
        check=False, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "report.html" in done.stdout


def test_audits_and_external_tests_are_shown(class_run, copied):
    class_run = copied(class_run)
    before = (class_run / "report/report.md").read_text()
    assert "not been tested on external data" in before
    assert "--mode=audit --checkpoint=" in before
    estimate = {"value": 0.7, "lo": 0.6, "hi": 0.8, "n": 9}
    content = {
        "metrics": {"test/auroc": estimate},
        "sizes": {"test": {"images": 9, "patients": 8}},
        "dataset": "elsewhere/1.0.0",
        "shared_patients": {},
        "synthetic": True,
    }
    results.save(class_run / "evaluations/elsewhere-test.json", content)
    leak = {
        "dataset": "covidgr", "split": "test", "other_split": "train", "images": 3,
        "of": 12,
    }  # fmt: skip
    found = verdicts.verdict("identical_images_across_splits", **leak)
    origin = json.loads((class_run / "provenance.json").read_text())["dataset"]
    audited = {"splits": origin["roles"], "without_a_lung": {}}
    audit = {"verdicts": [found._asdict()], "datasets": {"covidgr/256": audited}}
    (class_run / "audit.json").write_text(json.dumps(audit))
    write.write(class_run)
    after = (class_run / "report/report.md").read_text()
    assert "External test on 9 images of elsewhere-test: AUROC 0.700" in after
    assert f"\n- **stop**: {verdicts.words(found)}\n" in after
    audited["splits"] = {"train": {"sha256": "of other data"}}
    (class_run / "audit.json").write_text(json.dumps(audit))
    write.write(class_run)
    assert verdicts.words(found) not in (class_run / "report/report.md").read_text()
    with (class_run / "report/tables/external.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert float(rows[1]["AUROC"]) == 0.7 and rows[1]["tested on"] == "elsewhere-test"


def test_the_cases_are_the_extremes():
    labels = np.array([[0], [1], [1], [0]])
    true = np.array([0.9, 0.2, 0.55, 0.45])
    probs = np.where(labels == 1, 1 - true[:, None], true[:, None])[..., None]
    probs = np.concatenate([probs, 1 - probs], axis=-1)
    found = cases.choose(labels, probs)
    assert found["best"].tolist() == [0, 2, 3, 1]
    assert found["worst"].tolist() == [1, 3, 2, 0]
    assert found["uncertain"][:2].tolist() in ([2, 3], [3, 2])
    scores = np.array([[0, 3], [1, 1]])
    sure = np.eye(4)[[[0, 3], [3, 1]]]
    assert cases.choose(scores, sure)["worst"].tolist() == [1, 0]


def test_cells_and_csv():
    estimate = Estimate(0.8421, 0.8, 0.88, 12)
    none = Estimate(float("nan"), float("nan"), float("nan"), 0, "no positives")
    found = Table("t", "T", ("a", "b"), [("x|y", estimate), ("z", none)])
    assert table.text(estimate) == "0.842 (0.800 to 0.880)"
    assert table.text(none) == "not defined: no positives"
    assert table.text(0.25) == "0.25" and table.text(1234) == "1,234"
    assert table.to_csv(found).splitlines() == [
        "a,b,b lo,b hi,b n", "x|y,0.8421,0.8,0.88,12", "z,,,,0",
    ]  # fmt: skip
    assert table.to_markdown(found).splitlines()[1:3] == [
        "| --- | ---: |",
        "| x\\|y | 0.842 (0.800 to 0.880) |",
    ]
    assert table.sort_key(none) == "" and float(table.sort_key(estimate)) == 0.8421


@pytest.mark.parametrize("resamples", [0, 20])
def test_a_single_image_without_intervals(
    resamples, reported_run, covidgr_data, tmp_path
):
    from configs import covidgr

    config = covidgr.get_config()
    config.data.dataset, config.data.data_dir = "covidgr/256", str(covidgr_data)
    config.data.test, config.resamples = "test[:1]", resamples
    run = reported_run(tmp_path / "run", config.lock())
    assert write.write(run) == 0
    text = (run / "report" / "report.md").read_text()
    assert "Tested on 1 images" in text or "Tested on 1 image" in text


def test_a_report_missed_because_of_a_kill_is_written_later(
    brixia_run, copied, keep_signals
):
    run = copied(brixia_run)
    shutil.rmtree(run / "report")
    config = config_lib.from_json(run / "config.json")
    assert loop.train(config.lock(), run, report=write.write_missing) == 0
    page = run / "report" / "report.html"
    before = page.stat().st_mtime_ns
    assert loop.train(config.lock(), run, report=write.write_missing) == 0
    assert page.stat().st_mtime_ns == before


def test_names_with_dollars_and_tags_are_escaped(reported_run, covidgr_data, tmp_path):
    from configs import covidgr

    config = covidgr.get_config()
    config.data.dataset, config.data.data_dir = "covidgr/256", str(covidgr_data)
    config.task.settings.classes = ("a$x_{$b", "<i>url(#b)")
    config.task.settings.merge = "N=a$x_{$b,P=<i>url(#b)"
    config.resamples = 20
    run = reported_run(tmp_path / "run", config.lock())
    assert write.write(run) == 0
    text = (run / "report" / "report.html").read_text()
    assert "<i>" not in text and "&lt;i&gt;url(#b)" in text
