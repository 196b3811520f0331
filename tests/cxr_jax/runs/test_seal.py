"""What a run wrote is what is read; tests edit its files by hand."""

import json
import shutil

import pytest

from cxr_jax.evaluation import evaluate
from cxr_jax.report import write
from cxr_jax.runs import own_digest, predictions, restore, results, results_file
from cxr_jax.train import loop
from tfds_builders.common import forms
from tfds_builders.common.errors import InputError

pytestmark = pytest.mark.usefixtures("keep_signals")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run, and where it is copied from for each test."""
    return tmp_path_factory.mktemp("sealed") / "run"


@pytest.fixture
def run(trained, tiny_config, tmp_path):
    if not trained.exists():
        assert loop.train(tiny_config, trained) == 0
    shutil.copytree(trained, tmp_path / "run")
    return tmp_path / "run"


def edit_json(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content, indent=2))


EDITS = {
    "config.json": lambda c: c["preprocess"].update(eval="to_float|resize(32)"),
    "checkpoints/best.json": lambda c: c.update(value=0.1),
    "results.json": lambda c: c["metrics"]["test/mae_zone"].update(value=0.1),
    "provenance.json": lambda c: c["git"].update(revision="0" * 40),
}


@pytest.mark.parametrize("name", EDITS)
def test_a_file_edited_by_hand_is_named(run, name):
    edit_json(run / name, EDITS[name])
    with pytest.raises(InputError, match=f"{name}: was edited"):
        predictions.read(run)


@pytest.mark.parametrize("name", ["config.json", "checkpoints/best.json"])
def test_evaluations_and_reports_refuse_it(run, name):
    edit_json(run / name, EDITS[name])
    for use in (
        lambda: evaluate.evaluate(None, run, ":test"),
        lambda: write.write(run),
        lambda: restore.weights(run),
        lambda: results.show_finished(run),
    ):
        with pytest.raises(InputError, match=f"{name}: was edited"):
            use()


def test_an_edited_line_of_the_metrics_or_the_predictions_is_named(run):
    for name, old, new in (
        ("metrics.jsonl", '"val/loss": 1', '"val/loss": 0'),
        ("predictions/brixia-test.csv", "0.", "0.0"),
        ("splits.json", "examples", "examples "),
    ):
        text = (run / name).read_text()
        assert old in text, name
        (run / name).write_text(text.replace(old, new, 1))
        with pytest.raises(InputError, match=f"{name}: "):
            predictions.read(run)
        (run / name).write_text(text)
    predictions.read(run)


def test_the_best_of_an_unfinished_run_is_what_its_checkpoint_says(run):
    (run / "results.json").unlink()
    restore.weights(run)
    edit_json(run / "checkpoints/best.json", EDITS["checkpoints/best.json"])
    with pytest.raises(InputError, match="best.json: was edited"):
        restore.weights(run)


def test_speed_is_no_part_of_it(run):
    path = run / "metrics.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text(
        "".join(json.dumps({**row, "images_per_second": 1.0}) + "\n" for row in rows)
    )
    predictions.read(run)


def _unseal(path):
    edit_json(path, lambda c: [c.pop(k, None) for k in ("digest", "sealed")])


def test_a_run_of_an_earlier_version_is_read_with_a_warning(run, capsys):
    (run / "splits.json").unlink()
    for name in ("results.json", "provenance.json"):
        _unseal(run / name)
    predictions.read(run)
    assert "WARNING" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["results.json", "provenance.json"])
@pytest.mark.parametrize("beside", ["splits.json", "another digest", "sealed"])
def test_a_digest_that_was_removed_is_missed(run, name, beside):
    """Any trace of a version that seals is enough."""
    if beside == "sealed":
        edit_json(run / name, lambda c: c.pop("digest") and c.update(sealed={}))
    else:
        _unseal(run / name)
    if beside != "splits.json":
        (run / "splits.json").unlink()
    if beside != "another digest":
        _unseal(run / ({"results.json", "provenance.json"} - {name}).pop())
    with pytest.raises(InputError, match="was edited: its digest is missing"):
        predictions.read(run)


def test_an_evaluation_without_its_digest_is_named(run):
    assert evaluate.evaluate(None, run, ":test") == 0
    path = run / "evaluations/brixia_256-test.json"
    _unseal(path)
    with pytest.raises(InputError, match=f"{path.name}: was edited"):
        write.write(run)


def test_an_edited_evaluation_is_named(run):
    assert evaluate.evaluate(None, run, ":test") == 0
    path = run / "evaluations/brixia_256-test.json"
    results_file.read(path, {"metrics": dict})
    edit_json(path, lambda c: c.update(synthetic=False))
    with pytest.raises(InputError, match="brixia_256-test.json: was edited"):
        write.write(run)


def test_an_evaluation_elsewhere_asks_the_run_what_it_was_trained_on(
    run, tiny_config, capsys
):
    """Not the folder that is given: its own train split says nothing about the run."""
    moved = run.parent / "moved"
    shutil.copytree(tiny_config.data.data_dir, moved)
    assert evaluate.evaluate(None, run, ":test", str(moved)) == 0
    assert "WARNING" not in capsys.readouterr().out
    known = json.loads((run / "splits.json").read_text())
    known["train"], known["test"] = known["test"], known["train"]
    (run / "splits.json").write_text(json.dumps(known))
    (run / "results.json").unlink()  # which has a digest of it
    assert evaluate.evaluate(None, run, ":test", str(moved)) == 0
    assert "WARNING: the run was trained on" in capsys.readouterr().out


@pytest.mark.parametrize(
    "content, form, found",
    [
        ({}, {"a": int}, "has no a"),
        ({"a": {"b": "x"}}, {"a": {"b": int}}, "a.b is 'x', not a whole number"),
        ({"a": True}, {"a": int}, "a is True"),
        ({"a": 10**400}, {"a": (int, float)}, "a is 1000"),
        ({"a": float("nan")}, {"a": (int, float)}, "a is nan"),
        ({"a": []}, forms.Each(dict), "a is \\[\\], not an object"),
        ({"a": {}}, forms.Each(forms.Each(int, ("n",))), "has no a.n"),
    ],
)
def test_the_key_is_named(tmp_path, content, form, found):
    with pytest.raises(InputError, match=f"file.json: .*{found}"):
        forms.check(tmp_path / "file.json", content, form)


def test_forms_let_pass_what_fits():
    forms.check("x", {"a": None, "more": 3}, {"a": (str, None), "b?": int})
    assert own_digest.is_sealed(own_digest.seal({"a": 0.1}))
