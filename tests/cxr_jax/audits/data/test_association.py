import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_selection import f_classif
from sklearn.metrics import roc_auc_score

from cxr_jax.audits.data import association
from cxr_jax.audits.data.target import Target
from cxr_jax.data.attributes import Attribute


def table_of(x, y):
    return np.array([[((x == a) & (y == b)).sum() for b in set(y)] for a in set(x)])


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 9999), n=st.integers(30, 200), rows=st.integers(2, 6))
def test_plain_v_matches_scipy_and_the_corrected_one_bergsma(seed, n, rows):
    rng = np.random.default_rng(seed)
    y = np.r_[0, 1, 2, rng.integers(0, 3, n - 3)]
    x = np.r_[np.arange(rows), (y[rows:] + rng.integers(0, rows, n - rows)) % rows]
    found = association.cramers_v(x, y)
    table = table_of(x, y)
    assert found.plain == pytest.approx(
        scipy.stats.contingency.association(table, method="cramer")
    )
    # Bergsma 2013, equation by equation.
    phi2 = scipy.stats.chi2_contingency(table, correction=False).statistic / n
    phi2 = max(0, phi2 - (rows - 1) * 2 / (n - 1))
    r = rows - (rows - 1) ** 2 / (n - 1)
    c = 3 - 2**2 / (n - 1)
    assert found.value == pytest.approx(np.sqrt(phi2 / (min(r, c) - 1)))
    assert 0 <= found.value <= 1
    assert found.n == n


def test_v_of_nothing_and_of_everything():
    y = np.tile([0, 1], 50)
    # 2 x 2 table, all cells 25: chi squared is 0.
    x = np.repeat([0, 1], 50)
    same = association.cramers_v(y, y)
    assert (same.value, same.plain) == (1, 1)
    nothing = association.cramers_v(x, y)
    assert (nothing.value, nothing.plain, nothing.p) == (0, 0, 1)
    constant = association.cramers_v(np.zeros(100, int), y)
    assert np.isnan(constant.value)
    assert constant.reason == association.NOT_ENOUGH


def test_p_is_by_chi_square_or_by_permutation_if_the_table_is_sparse():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 400)
    x = np.where(rng.random(400) < 0.1, y, rng.integers(0, 2, 400))
    found = association.cramers_v(x, y)
    assert found.test == "chi-square"
    assert found.p == pytest.approx(
        scipy.stats.chi2_contingency(table_of(x, y), correction=False).pvalue
    )
    # 12 images: Fisher's exact test of a 2 x 2 table has all its permutations.
    x, y = np.repeat([0, 1], 6), np.array([0] * 5 + [1] * 2 + [0] + [1] * 4)
    sparse = association.cramers_v(x, y)
    assert sparse.test == "permutation"
    exact = scipy.stats.fisher_exact(table_of(x, y)).pvalue
    assert sparse.p == pytest.approx(exact, abs=0.01)
    assert sparse == association.cramers_v(x, y)
    assert sparse.p == pytest.approx(association.cramers_v(x, y, seed=1).p, abs=0.01)


def test_eta_matches_the_analysis_of_variance():
    rng = np.random.default_rng(1)
    group = rng.integers(0, 3, 90)
    number = rng.normal(size=90) + group
    found = association.eta(number, group)
    f = f_classif(number[:, None], group)[0][0]
    assert found.value == pytest.approx(np.sqrt(f * 2 / (f * 2 + 87)))
    kruskal = scipy.stats.kruskal(*(number[group == k] for k in range(3)))
    assert found.p == pytest.approx(kruskal.pvalue)
    assert np.isnan(found.auroc)
    two = association.eta(number[group > 0], group[group > 0])
    expected = roc_auc_score(group[group > 0] == 2, number[group > 0])
    assert two.auroc == pytest.approx(expected)
    assert np.isnan(association.eta(np.ones(90), group).value)


def test_epsilon_is_unbiased_and_epsilon_squared_of_ranks():
    rng = np.random.default_rng(2)
    group = rng.integers(0, 4, 80)
    score = rng.integers(0, 19, 80) + 2.0 * group
    found = association.epsilon(score, group)
    ranks = scipy.stats.rankdata(score)
    f = f_classif(ranks[:, None], group)[0][0]
    eta2 = f * 3 / (f * 3 + 76)
    assert found.plain == pytest.approx(np.sqrt(eta2))
    assert found.value == pytest.approx(np.sqrt(1 - (1 - eta2) * 79 / 76))
    # Unrelated: epsilon squared is 0 on average, eta squared is 3 / 79.
    draws = [association.epsilon(rng.normal(size=80), group) for _ in range(300)]
    assert np.mean([d.plain**2 for d in draws]) == pytest.approx(3 / 79, rel=0.15)
    assert np.median([d.value for d in draws]) < 0.1
    assert np.isnan(association.epsilon(np.ones(80), group).value)


def test_spearman_has_no_sign_but_keeps_it():
    x = np.array([1.0, 2, 3, 4, 5])
    found = association.spearman(x, np.array([5.0, 4, 2, 3, 1]))
    assert found.plain == pytest.approx(-0.9)
    assert found.value == pytest.approx(0.9)
    assert association.spearman(x, np.ones(5)).reason == association.NOT_ENOUGH


def attribute(name, numbers=None, codes=None, missing=None):
    n = len(numbers if codes is None else codes)
    absent = np.zeros(n, bool) if missing is None else missing
    names = () if codes is None else tuple(map(str, range(max(codes) + 1)))
    return Attribute(name, numbers, codes, names, absent)


def test_the_measure_fits_both_types_and_ignores_unlabelled_images():
    index = np.array([0, 1] * 10 + [-1] * 5)
    codes = np.array([0, 1] * 10 + [0] * 5)
    numbers = np.r_[np.arange(20.0), np.full(5, 1e9)]
    numbers[:4] = np.nan
    absent = np.isnan(numbers)
    of_class = Target("label", ("N", "P"), index)
    score = np.where(index < 0, np.nan, np.arange(25.0))
    of_score = Target("global score", ("low", "high"), index, score)
    sex, age = attribute("sex", codes=codes), attribute("age", numbers, missing=absent)
    found = [
        association.associate(a, target)
        for target in (of_class, of_score)
        for a in (sex, age)
    ]
    assert [f.measure for f in found] == ["Cramer's V", "eta", "epsilon", "|Spearman|"]
    assert [f.n for f in found] == [20, 16, 20, 16]
    assert found[0].value == 1
    assert found[3].value == pytest.approx(1)
    ranked = association.rank([age, sex], of_class)
    assert [a.name for a, _ in ranked] == ["sex", "age"]
    none = Target("", (), np.full(25, -1))
    assert association.rank([age, sex], none) == []
