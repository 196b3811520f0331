"""The answer of a sweep, and folders that must not become one."""

import json
import subprocess
import sys

import numpy as np
import pytest
from finished import GRADED, SETTLED, finish
from places import REPOSITORY
from scipy import stats
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from configs import quickstart
from launch import answer_tables, answer_words, attempts, collect, judged, workdirs
from launch.answer import answer
from tfds_builders.common.errors import InputError

NOISE = {"x": 0.9, "y": 0.3, "z": 0.92}


def sweep(folder, seeds=(0, 1, 2), losses="xyz", **more):
    """Runs whose errors are as large as NOISE says, on the same films."""
    for loss in losses:
        for seed in seeds:
            overrides = {"task.loss": GRADED[loss], "seed": seed}
            finish(folder / f"{loss}{seed}", overrides, noise=NOISE[loss], **more)


def found_in(folder, **options):
    runs, _ = workdirs.read(folder)
    settings = judged.settings(runs)
    return answer(settings, options.get("metrics"), options.get("against", ""))


def errors(folder, name):
    """Zone MAE of a run, from its csv by itself."""
    lines = (folder / name / "predictions" / "brixia-test.csv").read_text().split()
    table = [
        dict(zip(lines[0].split(","), row.split(","), strict=True)) for row in lines[1:]
    ]
    gaps = [
        abs(
            sum(k * float(row[f"prob_{z}{k}"]) for k in range(4))
            - float(row[f"target_{z}"])
        )
        for row in table
        for z in "ABCDEF"
    ]
    return float(np.mean(gaps))


def test_means_differences_and_their_p_are_those_of_the_runs(tmp_path):
    sweep(tmp_path)
    found = found_in(tmp_path)
    rows = {row.setting.name: row for row in found.rows}
    own = {x: [errors(tmp_path, f"{x}{k}") for k in range(3)] for x in "xyz"}
    for letter, values in own.items():
        row = rows[f"loss={GRADED[letter]}"]
        figure = row.figures["mae_zone"].estimate
        assert figure.value == pytest.approx(np.mean(values), rel=1e-6)
        assert figure.lo < figure.value < figure.hi and row.images == 60
        assert row.patients == 30
    assert found.baseline == f"loss={GRADED['x']}"
    better, alike = (rows[f"loss={GRADED[k]}"].gaps["mae_zone"] for k in "yz")
    gap = np.subtract(own["y"], own["x"])
    assert better.effect.estimate.value == pytest.approx(gap.mean(), rel=1e-6)
    assert better.is_paired and better.differs and not alike.differs
    # Patients can only widen what the seeds alone would say.
    low, high = stats.ttest_1samp(gap, 0).confidence_interval()
    seeds_alone = (high - low) / 2 / stats.t.ppf(0.975, 2)
    estimate = better.effect.estimate
    assert (estimate.hi - estimate.lo) / 2 > 1.96 * seeds_alone
    assert rows[f"loss={GRADED['y']}"].best >= {"mae_zone"}
    assert not rows[f"loss={GRADED['x']}"].best


def test_the_best_is_marked_only_beyond_chance(tmp_path):
    sweep(tmp_path, losses="xz")
    assert not any(row.best for row in found_in(tmp_path).rows)


def test_holm_over_all_rows_never_lowers_p(tmp_path):
    sweep(tmp_path)
    one = found_in(tmp_path, metrics=["mae_zone"])
    four = found_in(tmp_path)
    for few, many in zip(one.rows, four.rows, strict=True):
        for name, gap in few.gaps.items():
            assert gap.effect.p <= gap.p <= many.gaps[name].p + 1e-12


def test_the_baseline_is_named_by_a_part_that_is_its_own(tmp_path):
    sweep(tmp_path)
    assert found_in(tmp_path, against="ordinal").baseline == "loss=ordinal"
    for text in ("loss", "nothing"):
        with pytest.raises(InputError, match="names [30] of the settings"):
            found_in(tmp_path, against=text)


def test_other_test_films_are_not_paired(tmp_path):
    sweep(tmp_path, losses="x")
    sweep(tmp_path, losses="y", first=40)
    (gap,) = (row.gaps["mae_zone"] for row in found_in(tmp_path).rows if row.gaps)
    assert not gap.is_paired and gap.effect.estimate.has_interval


def test_folds_are_pooled_each_film_called_at_its_own_folds_threshold(tmp_path):
    thresholds = {0: 0.3, 1: 0.7}
    for fold, threshold in thresholds.items():
        finish(
            tmp_path / f"f{fold}",
            {"data.fold": fold, "seed": 0},
            task="classify",
            first=60 * fold,
            decision={**SETTLED, "thresholds": [1 - threshold, threshold]},
        )
    runs, _ = workdirs.read(tmp_path)
    (setting,) = judged.settings(runs)
    task = judged.task_of(runs[0])
    pool = judged.judged(task, setting.runs[0])
    score, label = pool.probs[:, 0, 1], pool.labels[:, 0]
    (row,) = found_in(tmp_path, metrics=["auroc", "balanced_accuracy"]).rows
    values = {name: each.estimate.value for name, each in row.figures.items()}
    assert row.images == 120
    assert values["auroc"] == pytest.approx(roc_auc_score(label, score))
    called = score >= np.array([thresholds[fold] for fold in pool.fold])
    wanted = balanced_accuracy_score(label, called)
    assert values["balanced_accuracy"] == pytest.approx(wanted)


def test_seeds_with_different_folds_and_films_tested_twice(tmp_path):
    finish(tmp_path / "a", {"data.fold": 0, "seed": 0})
    finish(tmp_path / "b", {"data.fold": 1, "seed": 1}, first=60)
    with pytest.raises(InputError, match="different folds"):
        found_in(tmp_path)
    finish(tmp_path / "c", {"data.fold": 1, "seed": 0}, first=30)
    finish(tmp_path / "d", {"data.fold": 0, "seed": 1})
    with pytest.raises(InputError, match="a, c: test 30 films twice"):
        found_in(tmp_path)


def test_one_setting_and_seed_twice(tmp_path):
    for name in "ab":
        finish(tmp_path / name, {"seed": 0})
    with pytest.raises(InputError, match="a, b: are of the same setting"):
        found_in(tmp_path)


def test_a_task_without_probabilities_has_intervals_over_seeds(tmp_path):
    values = {0: 0.80, 1: 0.84, 2: 0.81}
    for seed, value in values.items():
        finish(tmp_path / f"s{seed}", {"seed": seed}, task="segment", dice=value)
    (row,) = found_in(tmp_path).rows
    figure = row.figures["dice"].estimate
    wanted = stats.ttest_1samp(list(values.values()), 0).confidence_interval()
    assert figure[:3] == pytest.approx((np.mean(list(values.values())), *wanted))


def test_what_collect_prints_and_writes(tmp_path, capsys):
    sweep(tmp_path)
    (tmp_path / "open").mkdir()
    (tmp_path / "open" / "config.json").write_text("{}")
    assert collect.collect(tmp_path) == 0
    assert "unfinished: open" in capsys.readouterr().out
    rows = (tmp_path / "table.csv").read_text().splitlines()
    assert rows[0] == "run,seed,task.loss,metric,value,lo,hi,n"
    page = (tmp_path / "answer" / "answer.html").read_text()
    assert "Not a medical device" in page and page.count("<svg") >= 2
    for name in (
        "figures/differences.svg",
        "tables/settings.csv",
        "answer.md",
        "table.tex",
    ):
        assert (tmp_path / "answer" / name).stat().st_size > 100
    before = (tmp_path / "answer" / "answer.html").read_bytes()
    assert collect.collect(tmp_path) == 0
    assert (tmp_path / "answer" / "answer.html").read_bytes() == before


def test_tables_escape_what_the_formats_would_read(tmp_path):
    finish(
        tmp_path / "a",
        {"preprocess.eval": "to_float|resize(48)|standardise", "seed": 0},
    )
    finish(tmp_path / "b", {"preprocess.eval": "to_float|standardise", "seed": 0})
    found = found_in(tmp_path)
    lines = answer_tables.markdown(found).splitlines()
    assert {line.replace("\\|", "").count("|") for line in lines} == {8}
    assert r"to\_float|resize(48)" in answer_tables.latex(found)


def test_without_a_finished_run_says_what_to_do(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "config.json").write_text("{}")
    with pytest.raises(InputError, match="1 unfinished"):
        collect.collect(tmp_path)


def test_an_unknown_metric_lists_the_known_ones(tmp_path):
    finish(tmp_path / "a", {"seed": 0})
    with pytest.raises(InputError, match="auroc: not known(.|\n)*mae_zone"):
        collect.collect(tmp_path, ["auroc"])
    assert not (tmp_path / "table.csv").exists()


def test_runs_with_other_settings_are_not_averaged(tmp_path):
    finish(tmp_path / "a", {"seed": 0})
    finish(tmp_path / "b", {"seed": 1})
    finish(tmp_path / "c", {"seed": 2}, total="8 epochs", extra=1)
    with pytest.raises(InputError) as caught:
        collect.collect(tmp_path)
    assert sorted(str(caught.value).splitlines()[1:-1]) == [
        "  extra = 1 in c",
        "  extra = absent in a; b",
        f"  total = {quickstart.get_config().total!r} in a; b",
        "  total = '8 epochs' in c",
    ]
    assert not (tmp_path / "table.csv").exists()


def test_runs_that_do_not_set_a_key_must_agree_on_it(tmp_path):
    finish(tmp_path / "a", {"seed": 0, "task.loss": "ordinal"})
    finish(tmp_path / "b", {"seed": 0})
    finish(tmp_path / "c", {"seed": 1})
    assert collect.collect(tmp_path) == 0
    finish(tmp_path / "d", {"seed": 2}, **{"task.loss": "cross_entropy"})
    match = "task.loss = 'ce_mae' in b; c\n.*'cross_entropy' in d"
    with pytest.raises(InputError, match=match):
        collect.collect(tmp_path)


def test_the_location_of_the_data_does_not_matter_but_the_fold_does(tmp_path):
    finish(tmp_path / "a", {"seed": 0})
    finish(tmp_path / "b", {"seed": 1}, **{"data.data_dir": "/mnt"})
    assert collect.collect(tmp_path) == 0
    finish(tmp_path / "c", {"seed": 2}, **{"data.fold": 1})
    with pytest.raises(InputError, match="data.fold"):
        collect.collect(tmp_path)


def test_a_config_that_contradicts_its_overrides(tmp_path):
    finish(tmp_path / "a", {"seed": 1}, seed=5)
    with pytest.raises(InputError, match="has seed = 5, but overrides.json has 1"):
        collect.collect(tmp_path)


@pytest.mark.parametrize("file", ["results.json", "overrides.json", "config.json"])
@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "is not valid JSON"),
        (b'{"metrics": {', "is not valid JSON"),
        (b"\xff\xfe{}", "is not valid JSON"),
        (b"[]", "holds a list"),
        (b"null", "holds a NoneType"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, file, content, message):
    finish(tmp_path / "a", {"seed": 0})
    path = tmp_path / "a" / file
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        collect.collect(tmp_path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("file", ["overrides.json", "config.json"])
def test_a_missing_file_of_a_finished_run_is_named(tmp_path, file):
    finish(tmp_path / "a", {"seed": 0})
    (tmp_path / "a" / file).unlink()
    with pytest.raises(InputError, match=f"a/{file}: there is no such file"):
        collect.collect(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"metrics": []},
        {"metrics": {"test/mae_zone": 0.5}},
        {"metrics": {"test/mae_zone": {"value": 0.5}}},
        {"metrics": {"test/mae_zone": {"value": "a", "lo": 0, "hi": 1, "n": 9}}},
    ],
)
def test_results_without_numbers_are_named(tmp_path, content):
    finish(tmp_path / "a", {"seed": 0})
    (tmp_path / "a" / "results.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="results.json: has no metrics"):
        collect.collect(tmp_path)


def test_time_and_memory_of_every_setting(tmp_path):
    """Minutes of all runs, the most memory of any attempt; nothing where none is known."""
    sweep(tmp_path, losses="xy")
    for name, seconds, peak in (("x0", 20, 700), ("x0", 40, 1200), ("x1", 30, 900)):
        attempts.add(tmp_path / name, attempts.Attempt(0, seconds, peak_mb=peak))
    found = found_in(tmp_path)
    assert [row.peak_mb for row in found.rows] == [1200, None]
    assert found.rows[0].minutes == 1.5 and np.isnan(found.rows[1].minutes)
    table = answer_tables.settings(found)
    assert table.head[-1] == "most memory, MB"
    assert [row[-1] for row in table.rows] == [1200, None]


def test_the_best_is_none_whose_difference_is_not_beyond_chance(tmp_path):
    """The mark and the p beside it agree: both are corrected over all that is shown."""
    finish(tmp_path / "a", {"task.loss": "ce_mae", "seed": 0})
    finish(tmp_path / "b", {"task.loss": "ordinal", "seed": 1}, first=30)
    found = found_in(tmp_path)
    gaps = next(row.gaps for row in found.rows if row.gaps)
    assert 0.05 < gaps["mae_global"].p < 4 * 0.05  # on its own it would be
    assert not any(row.best for row in found.rows)
    said = answer_words.verdicts(found)
    assert said[0] == "No setting differs from loss=ce_mae in Zone MAE beyond chance."


def test_a_reader_that_closes_the_pipe_is_no_error(tmp_path):
    sweep(tmp_path, seeds=(0,), losses="xy")
    command = [sys.executable, "-m", "launch.collect", str(tmp_path)]
    with subprocess.Popen(
        command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.close()
        said = process.stderr.read()
    assert process.returncode == 0 and b"Traceback" not in said
