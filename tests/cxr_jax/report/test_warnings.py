"""What speaks against a figure is said, and nothing is said to be checked that was not."""

import json

import pytest

from cxr_jax.report import headline, material, warnings
from cxr_jax.report.warnings import CARE, FINE, STOP
from cxr_jax.stats import bootstrap


@pytest.fixture(scope="module")
def brixia(brixia_run):
    return material.read(brixia_run)


def with_results(found, **changes):
    content = json.loads(json.dumps(found.results))
    for name, estimate in changes.items():
        value, lo, hi = estimate
        content["metrics"][f"test/{name}"] |= {"value": value, "lo": lo, "hi": hi}
    return found._replace(results=content)


def weights(found, words):
    """The weights of those that hold the words."""
    return [each.weight for each in warnings.cautions(found) if words in each.text]


def test_phantoms_come_first(brixia):
    listed = warnings.cautions(brixia)
    assert listed[0].weight == STOP
    assert weights(brixia, "SYNTHETIC") == [STOP]
    order = [(STOP, CARE, FINE).index(each.weight) for each in listed]
    assert order == sorted(order)


@pytest.mark.parametrize(
    ("error", "constant", "weight"),
    [((0.4, 0.3, 0.5), 0.6, FINE), ((0.4, 0.3, 0.7), 0.6, STOP),
     ((0.9, 0.8, 1.0), 0.6, STOP), ((0.4, None, None), 0.6, STOP)],
)  # fmt: skip
def test_better_than_a_constant_only_with_its_whole_interval(
    brixia, error, constant, weight
):
    nothing = (constant, None, None)
    found = with_results(brixia, mae_zone=error, mae_zone_constant=nothing)
    assert weights(found, "always the median") == [weight]


def test_shared_patients_are_leakage(brixia):
    shared = brixia.results | {"shared_patients": {"train-test": 2, "val-test": 0}}
    found = brixia._replace(results=shared)
    assert weights(found, "2 patients are in both train and test") == [STOP]
    assert not weights(found, "is in two of train")
    assert weights(brixia, "None of the patients is in two") == [FINE]


def test_an_audit_that_was_not_made_is_asked_for(brixia):
    asked = [each.command for each in warnings.cautions(brixia) if each.command]
    assert any("--mode=audit --checkpoint=" in each for each in asked)
    assert any("--mode=eval" in each for each in asked)
    verdict = {"verdicts": ["border only: SHORTCUT: most of it is there."]}
    assert weights(brixia._replace(model_audit=verdict), "SHORTCUT") == [STOP]
    clean = brixia._replace(model_audit={"verdicts": ["nothing found."]})
    assert weights(clean, "found no shortcut") == [FINE]


def test_the_command_of_an_audit_has_the_config_of_the_run(brixia):
    origin = {"file": "my configs/a.py", "overrides": {"data.fold": 2}}
    came_from = brixia.provenance | {"config": origin}
    found = warnings.cautions(brixia._replace(provenance=came_from, audit=None))
    (asked,) = (e.command for e in found if "--mode=audit '--config" in e.command)
    assert "'--config=my configs/a.py' --config.data.fold=2" in asked


def test_sets_that_break_their_promise(brixia):
    found = with_results(brixia, coverage_90=(0.1, 0.05, 0.15))
    assert weights(found, "promise 90 %") == [CARE]
    assert not weights(with_results(brixia, coverage_90=(0.9, 0.8, 0.95)), "promise")


def test_a_headline_stands_beside_what_it_is_held_to(brixia):
    first = headline.headlines(brixia)[0]
    metrics = brixia.results["metrics"]
    assert first.metric == "mae_zone"
    assert first.estimate.value == metrics["test/mae_zone"]["value"]
    constant = metrics["test/mae_zone_constant"]["value"]
    assert first.beside["always the median"].value == constant


@pytest.mark.parametrize(
    ("elsewhere", "weight"),
    [((0.45, 0.4, 0.5), FINE), ((0.55, 0.52, 0.6), CARE), ((0.7, 0.5, 0.9), STOP)],
)
def test_a_figure_from_elsewhere_is_held_to_a_constant_and_to_the_own(
    brixia, elsewhere, weight
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
    assert weights(found, "elsewhere, mae_zone") == []
    found = found._replace(evaluations={"other-test": content})
    assert weights(found, "elsewhere, mae_zone") == [weight]
    assert not weights(found, "never tested on data from elsewhere")


def test_what_cannot_be_better_is_better_than_a_guess(brixia):
    """An error of 0 has no interval, as all resamples are alike."""
    found = with_results(brixia, mae_zone=(0.0, None, None))
    found.results["metrics"]["test/mae_zone"]["reason"] = bootstrap.ALIKE
    assert weights(found, "always the median") == [FINE]
    undefined = with_results(brixia, mae_zone=(None, None, None))
    assert weights(undefined, "cannot be held to") == [CARE]


def test_an_audit_that_measured_nothing_found_nothing(brixia):
    verdict = {"verdicts": ["Subgroups: nothing can be said."]}
    assert weights(brixia._replace(model_audit=verdict), "nothing can be said") == [
        CARE
    ]


def test_allowed_leakage_is_not_fine(brixia):
    finding = {"where": "brixia", "text": "9 films", "leak": False, "allowed": True}
    audit = {"findings": [finding], "datasets": {}}
    found = brixia._replace(audit=audit)
    assert weights(found, "Leakage that was allowed. brixia: 9 films") == [CARE]
    assert not weights(found, "no leakage was found")
