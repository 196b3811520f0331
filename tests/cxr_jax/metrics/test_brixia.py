import numpy as np
import pytest
import scipy.stats
from sklearn import metrics as sk

from cxr_jax.metrics import (
    agreement_metrics,
    brixia_metrics,
    consensus_metrics,
    constant_median,
    constant_median_metrics,
    rounded,
    second_reader_metrics,
)
from cxr_jax.rng import generator
from cxr_jax.stats import bootstrap
from tfds_builders.common.errors import InputError
from tfds_builders.common.zones import ZONES


@pytest.fixture(name="split")
def fixture_split():
    g = generator(0, "severity")
    target = g.integers(0, 4, (50, 6))
    logits = g.normal(size=(50, 6, 4)) + 2 * np.eye(4)[target]
    probs = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    weights = bootstrap.weights(np.repeat(np.arange(25), 2), 50)
    return target, probs @ np.arange(4), probs, weights


def kappa(x, y, levels):
    return sk.cohen_kappa_score(x, y, labels=range(levels), weights="quadratic")


def test_values_against_scikit_learn_and_scipy(split):
    target, expected, probs, weights = split
    metrics = brixia_metrics(target, expected, probs, weights)
    level = np.floor(expected + 0.5)
    total, expected_total = target.sum(1), expected.sum(1)
    flat, flat_expected = target.ravel(), expected.ravel()
    error = flat_expected - flat
    rps = [
        scipy.stats.energy_distance(range(4), [y], u_weights=p) ** 2 / 2
        for y, p in zip(flat, probs.reshape(-1, 4), strict=True)
    ]
    wanted = {
        "mae_zone": sk.mean_absolute_error(flat, flat_expected),
        "mae_global": sk.mean_absolute_error(total, expected_total),
        "sd_zone": np.std(error),
        "sd_global": np.std(expected_total - total),
        "pearson_zone": scipy.stats.pearsonr(flat, flat_expected)[0],
        "pearson_global": scipy.stats.pearsonr(total, expected_total)[0],
        "kappa_zone": kappa(flat, level.ravel(), 4),
        "kappa_global": kappa(total, np.floor(expected_total + 0.5), 19),
        "exact_zone": sk.accuracy_score(flat, level.ravel()),
        "within_one_zone": np.mean(np.abs(level - target) <= 1),
        "rps_zone": np.mean(rps),
    }
    for z, zone in enumerate(ZONES):
        wanted[f"mae_zone_{zone}"] = sk.mean_absolute_error(
            target[:, z], expected[:, z]
        )
    error = expected_total - total
    sides = {"right": slice(0, 3), "left": slice(3, 6)}
    errors = {k: (expected - target)[:, part].sum(1) for k, part in sides.items()}
    wanted |= {f"mae_{k}": np.abs(values).mean() for k, values in errors.items()}
    wanted |= {f"bias_{k}": values.mean() for k, values in errors.items()}
    wanted |= {
        "rmse_zone": np.sqrt(((expected - target) ** 2).mean()),
        "bias_zone_C": (expected - target)[:, 2].mean(),
        "spearman_global": scipy.stats.spearmanr(total, expected_total).statistic,
        "spearman_zone": scipy.stats.spearmanr(flat, flat_expected).statistic,
        # Bland and Altman 1986: the deviation is that of a sample.
        "limits_low_global": error.mean() - 1.96 * error.std(ddof=1),
        "limits_high_global": error.mean() + 1.96 * error.std(ddof=1),
    }
    assert {name: metrics[name].value for name in wanted} == pytest.approx(wanted)
    for name, m in metrics.items():
        assert m.lo < m.value < m.hi, name
        assert (m.n, m.reason) == (50, ""), name


def test_halves_round_up_and_stay_in_range():
    scores = [-0.4, 0.49, 0.5, 1.5, 2.5, 3.4]
    assert rounded(scores, 3).tolist() == [0, 0, 1, 2, 3, 3]


def test_a_perfect_prediction(split):
    target = split[0]
    metrics = brixia_metrics(target, target, np.eye(4)[target], split[3])
    ones = ("pearson", "kappa", "exact", "within_one", "icc", "spearman")
    for name, m in metrics.items():
        wanted = 1.0 if name.startswith(ones) else 0.0
        assert m.value == pytest.approx(wanted, abs=1e-12), name
        is_share = name.startswith(("exact", "within_one"))
        if is_share:  # 25 of 25 patients
            assert (m.lo, m.hi) == pytest.approx((0.8628, 1), abs=1e-4)
            assert m.reason == bootstrap.EXACT
        else:
            assert np.isnan(m.lo) and m.reason == bootstrap.ALIKE


def test_a_constant_prediction_has_no_correlation(split):
    target, _, probs, weights = split
    metrics = brixia_metrics(target, np.full((50, 6), 1.5), probs, weights)
    same = metrics["pearson_global"]
    assert np.isnan(same.value)
    assert same.reason == "the target or the prediction is constant"


def test_constant_median(split):
    target, _, _, weights = split
    train = np.array([[0, 1, 3, 0, 2, 3], [0, 1, 3, 1, 2, 3]])
    medians = constant_median(train)
    assert medians.tolist() == [0, 1, 3, 0.5, 2, 3]
    metrics = constant_median_metrics(target, medians.tolist(), weights)
    assert {name: m.value for name, m in metrics.items()} == pytest.approx(
        {
            "mae_zone_constant": np.abs(target - medians).mean(),
            "mae_global_constant": np.abs(target.sum(1) - 9.5).mean(),
        }
    )


def test_the_readers_stand_beside_the_model(split):
    first, expected, _, weights = split
    second = np.clip(first + generator(1, "reader").integers(-1, 2, first.shape), 0, 3)
    found = second_reader_metrics(expected, first, second, weights)
    assert found["mae_zone_junior"].value == pytest.approx(
        np.abs(expected - second).mean()
    )
    assert found["mae_global_junior_reader"].value == pytest.approx(
        np.abs(first.sum(axis=1) - second.sum(axis=1)).mean()
    )
    for scope, level in (("zone", 4), ("global", 19)):
        pair = [x.sum(1) if scope == "global" else x.ravel() for x in (second, first)]
        assert found[f"kappa_{scope}_junior_reader"].value == pytest.approx(
            kappa(*pair, level)
        )
    assert (
        agreement_metrics(second, first, weights)["icc_zone"]
        == (found["icc_zone_junior_reader"])
    )


def test_errors_against_the_consensus_are_those_of_scikit_learn(split):
    reader, expected, _, _ = split
    consensus = generator(2, "consensus").integers(0, 16, (50, 6)) / 5
    consensus[::3] = np.nan
    known = np.arange(50) % 3 != 0
    resamples = bootstrap.draw([f"p{i // 2}" for i in range(50)], 50)
    found = consensus_metrics(expected, reader, consensus, resamples)
    for name, scores in (("consensus", expected), ("consensus_reader", reader)):
        zone = found[f"mae_zone_{name}"]
        assert zone.n == 33
        assert zone.lo < zone.value < zone.hi
        assert zone.value == pytest.approx(
            sk.mean_absolute_error(consensus[known], scores[known])
        )
        assert found[f"mae_global_{name}"].value == pytest.approx(
            sk.mean_absolute_error(consensus[known].sum(1), scores[known].sum(1))
        )
    nothing = np.full((50, 6), np.nan)
    assert consensus_metrics(expected, reader, nothing, resamples) == {}


def test_no_images():
    metrics = brixia_metrics(
        np.zeros((0, 6), int),
        np.zeros((0, 6)),
        np.zeros((0, 6, 4)),
        bootstrap.weights([], 10),
    )
    for m in metrics.values():
        assert np.isnan(m.value) and m.n == 0 and m.reason == "no images"


def test_bad_arrays_are_named(split):
    target, expected, probs, weights = split
    broken = expected.copy()
    broken[7, 2] = np.nan
    with pytest.raises(InputError, match="1 of 50 images.*first number 7"):
        brixia_metrics(target, broken, probs, weights)
    with pytest.raises(ValueError, match="target holds -1"):
        brixia_metrics(target - 1, expected, probs, weights)
    with pytest.raises(ValueError, match=r"probs has shape \(50, 6, 3\)"):
        brixia_metrics(target, expected, probs[..., :3], weights)
    with pytest.raises(ValueError, match="weights has shape"):
        brixia_metrics(target, expected, probs, weights[:, :9])
