"""Doubts about a result are reported, and only what was checked is called checked."""

import json

import pytest

from cxr_jax.audits import verdicts
from cxr_jax.audits.verdicts import CARE, FINE, STOP
from cxr_jax.report import headline, material, warnings
from cxr_jax.stats import bootstrap
from cxr_jax.stats.estimate import Estimate

ESTIMATE = Estimate(0.9, 0.8, 0.95, 60)


@pytest.fixture(scope="module")
def brixia(brixia_run):
    return material.read(brixia_run)


def with_results(found, **changes):
    content = json.loads(json.dumps(found.results))
    for name, estimate in changes.items():
        value, lo, hi = estimate
        content["metrics"][f"test/{name}"] |= {"value": value, "lo": lo, "hi": hi}
    return found._replace(results=content)


def severities(found, kind):
    return [each.severity for each in warnings.cautions(found) if each.kind == kind]


def audited(found, *some):
    content = json.loads(json.dumps({"verdicts": [each._asdict() for each in some]}))
    return found._replace(model_audit=content)


def test_phantoms_come_first(brixia):
    listed = warnings.cautions(brixia)
    assert (listed[0].kind, listed[0].severity) == ("synthetic", STOP)
    order = [verdicts.SEVERITIES.index(each.severity) for each in listed]
    assert order == sorted(order)


@pytest.mark.parametrize(
    ("error", "constant", "severity"),
    [((0.4, 0.3, 0.5), 0.6, FINE), ((0.4, 0.3, 0.7), 0.6, STOP),
     ((0.9, 0.8, 1.0), 0.6, STOP), ((0.4, None, None), 0.6, STOP)],
)  # fmt: skip
def test_better_than_a_constant_only_if_the_whole_interval_is(
    brixia, error, constant, severity
):
    nothing = (constant, None, None)
    found = with_results(brixia, mae_zone=error, mae_zone_constant=nothing)
    assert severities(found, "headline") == [severity]


def test_a_perfect_result_beats_chance(brixia):
    """An error of 0 has no interval, because all resamples are alike."""
    found = with_results(brixia, mae_zone=(0.0, None, None))
    found.results["metrics"]["test/mae_zone"]["reason"] = bootstrap.ALIKE
    assert severities(found, "headline") == [FINE]
    undefined = with_results(brixia, mae_zone=(None, None, None))
    assert severities(undefined, "headline") == [CARE]


def test_shared_patients_are_leakage(brixia):
    shared = brixia.results | {"shared_patients": {"train-test": 2, "val-test": 0}}
    found = brixia._replace(results=shared)
    assert severities(found, "shared_patients") == [STOP]
    assert not severities(found, "disjoint")
    assert severities(brixia, "disjoint") == [FINE]
    unnamed = brixia.splits.test._replace(unit="images")
    found = brixia._replace(splits=brixia.splits._replace(test=unnamed))
    sizes = {**brixia.results["sizes"], "test": {"images": 9}}
    found = found._replace(results=brixia.results | {"sizes": sizes})
    assert severities(found, "disjoint") == [CARE]


def test_a_missing_audit_is_suggested(brixia):
    asked = {each.kind: each.command for each in warnings.cautions(brixia)}
    assert "--mode=audit --checkpoint=" in asked["no_model_audit"]
    assert "--mode=audit" in asked["no_data_audit"]
    assert "--mode=eval" in asked["no_external_test"]


@pytest.mark.parametrize("words", ["SHORTCUT: it needs no lung.", "Other words."])
def test_a_shortcut_stops_whatever_its_wording(brixia, words, monkeypatch):
    """The severity is a value: a reworded message cannot drop it."""
    kind = verdicts.KINDS["shortcut"]._replace(words=lambda values: words)
    monkeypatch.setitem(verdicts.KINDS, "shortcut", kind)
    found = audited(brixia, verdicts.verdict("shortcut"))
    (caution,) = [c for c in warnings.cautions(found) if c.kind == "shortcut"]
    assert (caution.severity, caution.text) == (STOP, words)
    assert not severities(found, "model_audit")


def test_an_audit_without_faults_is_fine_and_one_that_measured_nothing_is_not(brixia):
    clean = audited(brixia, verdicts.verdict("no_worse_group", groups=3))
    assert severities(clean, "model_audit") == [FINE]
    nothing = audited(brixia, verdicts.verdict("groups_too_small", least=20))
    assert severities(nothing, "groups_too_small") == [CARE]
    assert not severities(nothing, "model_audit")


def test_allowed_leakage_is_not_fine(brixia):
    values = {
        "dataset": "a",
        "split": "test",
        "other_split": "train",
        "images": 9,
        "of": 60,
    }
    leak = verdicts.verdict("near_duplicates_across_splits", **values)
    allowed = leak._replace(severity=CARE, values=leak.values | {"allowed": True})
    for found, severity in ((leak, STOP), (allowed, CARE)):
        audit = {"verdicts": [found._asdict()], "datasets": {}}
        other = brixia._replace(audit=audit)
        assert severities(other, leak.kind) == [severity]
        assert not severities(other, "no_leakage")


def test_the_command_of_an_audit_has_the_config_of_the_run(brixia):
    origin = {"file": "my configs/a.py", "overrides": {"data.fold": 2}}
    came_from = brixia.provenance | {"config": origin}
    found = warnings.cautions(brixia._replace(provenance=came_from, audit=None))
    (asked,) = (e.command for e in found if "--mode=audit '--config" in e.command)
    assert "'--config=my configs/a.py' --config.data.fold=2" in asked


def test_a_class_that_was_never_trained(brixia):
    def with_labels(train):
        labels = {"train": train, "val": {"a": 5, "b": 5}, "test": {"a": 6, "b": 4}}
        return brixia._replace(results=brixia.results | {"labels": labels})

    assert severities(with_labels({"a": 9, "b": 0}), "class_untrained") == [CARE]
    far = with_labels({"a": 8, "b": 2})
    assert not severities(far, "class_untrained")
    assert severities(far, "classes_apart") == [CARE]
    assert not severities(with_labels({"a": 55, "b": 45}), "classes_apart")


def test_a_val_that_settles_nothing(brixia):
    def with_val(images):
        parts = {"selecting": {"images": 7}, "settling": {"images": images}}
        return brixia._replace(results=brixia.results | {"val_parts": parts})

    assert severities(with_val(0), "nothing_settled") == [CARE]
    assert not severities(with_val(12), "nothing_settled")


def test_prediction_sets_that_cover_too_little(brixia):
    found = with_results(brixia, coverage_90=(0.1, 0.05, 0.15))
    assert severities(found, "coverage") == [CARE]
    kept = with_results(brixia, coverage_90=(0.9, 0.8, 0.95))
    assert not severities(kept, "coverage")


def test_headlines_show_their_comparisons(brixia):
    first = headline.headlines(brixia)[0]
    metrics = brixia.results["metrics"]
    assert first.metric == brixia.task.main
    assert first.estimate.value == metrics[f"test/{first.metric}"]["value"]
    constant = metrics[f"test/{first.metric}_constant"]["value"]
    assert first.beside["constant predictor"].value == constant


@pytest.mark.parametrize(
    ("elsewhere", "severity"),
    [((0.45, 0.4, 0.5), FINE), ((0.55, 0.52, 0.6), CARE), ((0.7, 0.5, 0.9), STOP)],
)
def test_external_results_are_compared_with_chance_and_the_internal_test(
    brixia, elsewhere, severity
):
    found = with_results(brixia, mae_zone=(0.4, 0.35, 0.46))
    value, lo, hi = elsewhere
    metrics = {
        "test/mae_zone": {"value": value, "lo": lo, "hi": hi, "n": 30},
        "test/mae_zone_constant": {"value": 0.8, "lo": None, "hi": None, "n": 30},
    }
    content = {
        "dataset": "other/1.0.0",
        "metrics": metrics,
        "sizes": {"test": {"images": 30, "patients": 20}},
    }
    assert severities(found, "external") == []
    found = found._replace(evaluations={"other-test": content})
    assert severities(found, "external") == [severity]
    assert not severities(found, "no_external_test")
