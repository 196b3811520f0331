"""What the figures of an audited model are concluded to mean."""

import pytest

from cxr_jax.audits.model.conclusions import conclude
from cxr_jax.audits.model.saliency import Maps
from cxr_jax.audits.verdicts import CARE, FINE, STOP
from cxr_jax.evaluation import subgroups
from cxr_jax.stats.estimate import Estimate, undefined

GOOD, CHANCE = Estimate(0.9, 0.85, 0.95, 90), Estimate(0.52, 0.4, 0.6, 90)
NAN = float("nan")


def kinds(figure, *arguments, **named):
    found = conclude(figure, 0.5, *arguments, **named)
    return {each.kind: each for each in found}


@pytest.mark.parametrize(
    ("figure", "left", "kind", "severity"),
    [
        (GOOD, 0.97, "shortcut", STOP),
        (GOOD, 0.3, "shortcut_helps", CARE),
        (Estimate(1.0, NAN, NAN, 90), 1.0, "shortcut", STOP),  # no interval at 1
        (CHANCE, 0.97, "no_shortcut", FINE),
        (undefined(90, "all alike"), NAN, "shortcut_undefined", CARE),
    ],
)
def test_what_is_left_without_a_lung(figure, left, kind, severity):
    hidden = {"border only": {"figure": figure, "left": Estimate(left, NAN, NAN, 90)}}
    found = kinds("auroc", GOOD, hidden, {}, [])
    assert found[kind].severity == severity
    assert found[kind].values["estimate"] == figure.to_json()
    assert sum(name.endswith(("shortcut", "helps")) for name in found) <= 1


def test_the_alteration_that_costs_most():
    flat = [(GOOD, Estimate(0.0, -0.1, 0.1, 90))] * 5
    steep = [*flat[:3], *[(GOOD, Estimate(0.2, 0.1, 0.3, 90))] * 2]
    found = kinds("auroc", GOOD, {}, {"blur": flat, "noise": steep}, [])
    values = found["robustness"].values
    assert (values["alteration"], values["lost"], values["first"]) == (
        "noise",
        0.2,
        0.1,
    )
    assert (
        kinds("auroc", GOOD, {}, {"blur": flat}, [])["robustness"].values["first"]
        is None
    )


@pytest.mark.parametrize(
    ("metric", "chance", "whole", "is_chance"),
    [
        ("auroc", 0.5, Estimate(0.52, 0.4, 0.6, 17), True),
        ("auroc", 0.5, Estimate(0.52, 0.51, 0.6, 17), False),
        ("auroc", 0.5, undefined(17, "one class"), True),
        ("mae_zone", 0.8, Estimate(0.7, 0.6, 0.75, 17), False),  # lower is better
        ("mae_zone", 0.8, Estimate(0.7, 0.6, 0.85, 17), True),
    ],
)
def test_a_model_that_knows_nothing_comes_first(metric, chance, whole, is_chance):
    first, *_ = conclude(metric, chance, whole, {}, {}, [])
    assert (first.kind == "no_better_than_chance") == is_chance


def row(attribute, name, gap):
    return subgroups.Row(attribute, name, 40, 40, {"auroc": GOOD}, {"auroc": gap})


def test_groups_of_one_class_are_no_all_clear():
    group = row("source", "one hospital", undefined(40, "one class"))
    assert kinds("auroc", GOOD, {}, {}, [group])["groups_undefined"].severity == CARE
    worse = row("sex", "F", Estimate(0.2, 0.1, 0.3, 90))
    values = kinds("auroc", GOOD, {}, {}, [group, worse])["worst_group"].values
    assert (values["attribute"], values["group"], values["groups"]) == ("sex", "F", 1)
    alike = row("sex", "F", Estimate(0.0, -0.1, 0.1, 90))
    assert kinds("auroc", GOOD, {}, {}, [alike])["no_worse_group"].severity == FINE
    assert kinds("auroc", GOOD, {}, {}, [])["groups_too_small"].severity == CARE


def test_the_largest_bias_is_told():
    def limits(name, bias):
        of_limit = Estimate(-3.0, -4.0, -2.0, 40), Estimate(5.0, 4.0, 6.0, 40)
        return subgroups.Limits("view", name, 40, 40, bias, GOOD, *of_limit)

    low = Estimate(-1.25, -2.0, -0.5, 40)
    agreed = [limits("AP", low), limits("PA", Estimate(1.0, 0.2, 1.8, 40))]
    found = kinds("auroc", GOOD, {}, {}, [], agreed)
    assert found["biased_group"].values["group"] == "AP"
    none = limits("AP", Estimate(0.1, -0.2, 0.4, 40))
    assert "no_biased_group" in kinds("auroc", GOOD, {}, {}, [], [none])


@pytest.mark.parametrize(
    ("likeness", "kind"),
    [(0.2, "attribution"), (0.8, "attribution_unspecific"), (NAN, "attribution_flat")],
)
def test_maps_are_held_against_those_of_random_weights(likeness, kind):
    share = Estimate(0.3, 0.2, 0.4, 32)
    maps = Maps("occlusion", None, NAN, share, 0.29, likeness)
    values = kinds("auroc", GOOD, {}, {}, [], maps=[maps])[kind].values
    assert values["area"] == 0.29 and values["estimate"] == share.to_json()
