"""What the figures of an audited model are concluded to mean."""

import pytest

from cxr_jax.audits.model.conclusions import Altered, Hidden, conclude
from cxr_jax.audits.model.saliency import Maps
from cxr_jax.audits.verdicts import CARE, FINE, STOP
from cxr_jax.evaluation import subgroups
from cxr_jax.stats import bootstrap
from cxr_jax.stats.estimate import Estimate, undefined

GOOD, CHANCE = Estimate(0.9, 0.85, 0.95, 90), Estimate(0.52, 0.4, 0.6, 90)
NAN = float("nan")


def kinds(figure, *arguments, **named):
    found = conclude(figure, 0.5, *arguments, **named)
    return {each.kind: each for each in found}


NOTHING = Estimate(1.0, NAN, NAN, 90, bootstrap.ALIKE)
MOST, SOME = Estimate(0.9, 0.7, 1.1, 90), Estimate(0.3, 0.1, 0.5, 90)
# As of a false SHORTCUT: the whole picture near chance, and a ratio of two noises.
WIDE = Estimate(1.46, 0.18, 7.66, 90)


@pytest.mark.parametrize(
    ("whole", "figure", "left", "p", "kind", "severity"),
    [
        (GOOD, GOOD, MOST, 0.001, "shortcut", STOP),
        (GOOD, GOOD, SOME, 0.001, "shortcut_helps", CARE),
        (GOOD, GOOD, WIDE, 0.001, "shortcut_helps", CARE),
        (GOOD, GOOD, MOST, 0.3, "no_shortcut", FINE),
        (NOTHING, NOTHING, NOTHING, 0.0, "shortcut", STOP),  # no interval at 1
        (GOOD, CHANCE, MOST, 0.6, "no_shortcut", FINE),
        (GOOD, Estimate(0.3, 0.2, 0.4, 90), MOST, 0.0, "no_shortcut", FINE),
        (CHANCE, GOOD, WIDE, 0.001, "shortcut_untested", CARE),
        (GOOD, undefined(90, "all alike"), undefined(90, ""), NAN, "shortcut_undefined", CARE),
    ],
)  # fmt: skip
def test_what_is_left_without_a_lung(whole, figure, left, p, kind, severity):
    without = {"border only": Hidden(figure, left, p)}
    found = kinds("auroc", whole, without, {}, [])
    assert found[kind].severity == severity
    assert found[kind].values["estimate"] == figure.to_json()
    assert sum("shortcut" in name for name in found) == 1


def lost(value, p):
    return Altered(GOOD, Estimate(value, value - 0.1, value + 0.1, 90), p)


def test_the_alteration_that_costs_most():
    flat = [lost(0.0, 0.9)] * 5
    steep = [*flat[:3], *[lost(0.2, 0.001)] * 2]
    found = kinds("auroc", GOOD, {}, {"blur": flat, "noise": steep}, [])
    values = found["robustness"].values
    assert (values["alteration"], values["lost"], values["first"]) == (
        "noise",
        0.2,
        0.1,
    )
    assert values["of"] == 10
    assert (
        kinds("auroc", GOOD, {}, {"blur": flat}, [])["robustness"].values["first"]
        is None
    )


def test_beyond_chance_is_so_after_holm_and_at_every_later_strength():
    def first(*p):
        found = [lost(0.2, each) for each in p]
        return kinds("auroc", GOOD, {}, {"noise": found}, [])["robustness"].values[
            "first"
        ]

    assert first(0.5, 0.5, 0.02, 0.02, 0.02) is None  # of 5: 0.02 x 5
    assert first(0.5, 0.5, 0.001, 0.001, 0.001) == 0.05
    assert first(0.001, 0.5, 0.001, 0.001, 0.001) == 0.05  # not from the first on
    assert first(0.001, 0.001, 0.001, 0.001, 0.5) is None
    better = [lost(-0.2, 0.001)] * 5
    values = kinds("auroc", GOOD, {}, {"noise": better}, [])["robustness"].values
    assert values["first"] is None


def test_all_parts_are_one_family():
    """0.002 passes among 5 alterations, and not beside 30 groups."""
    found = {"noise": [lost(0.2, 0.002)] * 5}
    groups = [row("sex", f"{k}", Estimate(0.0, -0.1, 0.1, 90)) for k in range(30)]
    alone = kinds("auroc", GOOD, {}, found, [])["robustness"].values
    beside = kinds("auroc", GOOD, {}, found, groups)["robustness"].values
    assert (alone["first"], beside["first"]) == (0.01, None)
    assert (alone["of"], beside["of"]) == (5, 35)


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
    p = {"auroc": 0.001 if gap.lo > 0 else 0.5 if gap.is_defined else NAN}
    return subgroups.Row(attribute, name, 40, 40, {"auroc": GOOD}, {"auroc": gap}, p)


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
        p = 0.001 if bias.lo * bias.hi > 0 else 0.5
        return subgroups.Limits("view", name, 40, 40, bias, GOOD, *of_limit, p)

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
