import numpy as np
import pytest
import toys
from sklearn.metrics import roc_auc_score

from cxr_jax.audits.data import audit, baselines
from cxr_jax.audits.data.target import Target
from cxr_jax.data import attributes, fingerprints
from cxr_jax.stats.estimate import Estimate
from tfds_builders.common import splits

NAMES = (
    "border", "border_histogram", "size", "metadata", "histogram", "thumbnail",
)  # fmt: skip


@pytest.fixture(autouse=True)
def enough_trees(few_trees, monkeypatch):
    """Here the figures themselves are tested."""
    monkeypatch.setattr(baselines, "_TREES", 20)


def target_of(index, classes=("N", "P")):
    return Target("label", classes, np.asarray(index))


def run(shown, index, *, classes=("N", "P"), table=None, patients=None):
    n = len(shown)
    patients = [f"p{k}" for k in range(n)] if patients is None else patients
    rows = toys.rows([f"a{k}" for k in range(n)])
    read = fingerprints.read(
        toys.make_splits({"train": rows}, {"train": shown}).values()
    )
    metadata, _ = attributes.of_table(table or {}, {})
    sizes = attributes.of_pictures(read.height, read.width)
    found = baselines.run(
        target_of(index, classes), read, metadata, sizes, np.array(patients), 200, 0
    )
    assert tuple(b.name for b in found) == NAMES
    return {b.name: b for b in found}


@pytest.fixture(scope="module")
def noise():
    return [toys.film(k, (48, 48)) for k in range(120)]


def test_a_shortcut_shows_where_it_is_and_nowhere_else(noise):
    index = np.arange(120) % 2
    marked = [film.copy() for film in noise]
    for k, (film, label) in enumerate(zip(marked, index, strict=True)):
        film[:4, :20] = 255 if label and k % 20 > 1 else film.mean()
    found = run(marked, index)
    assert 0.8 < found["border"].auroc.lo < found["border"].auroc.value < 1
    assert found["border"].auroc.n == 120
    assert found["size"].auroc.reason == "nothing that differs"
    assert found["metadata"].auroc.reason == "nothing that differs"
    inside = [film.copy() for film in noise]
    for film, label in zip(inside, index, strict=True):
        film[14:34, 14:34] = 200 if label else 60
    found = run(inside, index)
    assert found["thumbnail"].auroc.value > 0.95
    assert found["border"].auroc.lo < 0.5 < found["border"].auroc.hi
    assert [b.sees_lung for b in found.values()] == [False] * 4 + [True] * 2


def test_an_opacity_alone_is_no_label_without_a_lung(noise):
    """Only the middle differs: the whole histogram knows, and no verdict names it."""
    index = np.arange(120) % 2
    shown = [film.copy() for film in noise]
    for film, label in zip(shown, index, strict=True):
        film[12:36, 12:36] = np.clip(film[12:36, 12:36] + 90.0 * label, 0, 255)
    found = run(shown, index)
    assert found["histogram"].auroc.lo > 0.9
    for name in ("border", "border_histogram"):
        assert found[name].auroc.lo < 0.5 < found[name].auroc.hi
    assert audit.without_lung("toy", list(found.values())) == []


def test_the_best_of_several_baselines_has_to_be_better_than_one(noise):
    """p 0.03 in one of four is not beyond chance; 0.01 is, and the strongest is named."""

    def baseline(name, area, p):
        return baselines.Baseline(name, "it", Estimate(area, 0.51, 0.8, 90), {}, p)

    chance = [baseline("border", 0.6, 0.03), baseline("size", 0.55, 0.4)]
    chance += [baseline("metadata", 0.5, 0.9), baseline("histogram", 0.99, 0.0)]
    assert audit.without_lung("toy", chance) == []
    (found,) = audit.without_lung("toy", [*chance, baseline("size", 0.7, 0.001)])
    assert found.values["baseline"] == "size"


def test_classes_that_are_never_trained_or_lie_apart():
    def held(**splits):
        return {"splits": {name: {"classes": each} for name, each in splits.items()}}

    apart = held(train={"N": 10, "P": 0}, val={"N": 8, "P": 2}, test={"N": 9, "P": 1})
    assert [v.kind for v in audit.of_classes("toy", apart)] == [
        "class_untrained", "classes_apart",
    ]  # fmt: skip
    near = held(train={"N": 70, "P": 30}, val={"N": 7, "P": 3}, test={"N": 13, "P": 7})
    assert audit.of_classes("toy", near) == []
    assert audit.of_classes("toy", held(all={"N": 1, "P": 0})) == []


def test_metadata_size_and_missing_values_are_shortcuts_too(noise):
    index = np.arange(120) % 2
    shown = [f[: 48 - 2 * k] for f, k in zip(noise, index, strict=True)]
    ages = np.where(index == 1, np.nan, 20.0 + np.arange(120))
    found = run(shown, index, table={"age": ages})
    assert found["size"].auroc.value == 1
    assert found["metadata"].auroc.value == 1
    assert found["metadata"].sees == "age, age missing"


def test_nothing_is_found_where_there_is_nothing(noise):
    # By hand: the mean over many labellings of pure noise is 0.5; pooled over folds it
    # would be well below.
    rng = np.random.default_rng(0)
    features = rng.normal(size=(60, 3))
    folds = np.array([splits.fold_of(f"p{k}") for k in range(60)])
    ones = np.ones((1, 60))
    areas = []
    for _ in range(10):
        index = rng.integers(0, 2, 60)
        scores = baselines._held_out(features, index, folds, 2, 0)[:, 1]
        areas.append(baselines._auroc(index == 1, scores, folds)(ones)[0])
    assert np.mean(areas) == pytest.approx(0.5, abs=0.06)


def test_the_area_is_that_of_pairs_within_folds():
    rng = np.random.default_rng(1)
    index, folds = rng.integers(0, 2, 80), rng.integers(0, 4, 80)
    index[folds == 3] = 1  # a fold without pairs
    scores = np.round(rng.normal(size=80) + index, 1)
    counts = rng.integers(0, 3, (5, 80)).astype(float)
    with np.errstate(invalid="ignore"):  # as in bootstrap.replicates
        found = baselines._auroc(index == 1, scores, folds)(counts)
        nothing = baselines._auroc(np.ones(80, bool), scores, folds)(counts)
    assert np.isnan(nothing).all()
    for weights, area in zip(counts, found, strict=True):
        won = pairs = 0.0
        for fold in range(3):
            here = (folds == fold) & (weights > 0)
            y, w = index[here], weights[here]
            both = w[y == 1].sum() * w[y == 0].sum()
            won += both * roc_auc_score(y, scores[here], sample_weight=w)
            pairs += both
        assert area == pytest.approx(won / pairs)


def test_more_classes_have_a_mean_and_a_figure_each(noise):
    index = np.arange(120) % 3
    index[index == 2] = np.where(np.arange(40) < 4, 2, 0)
    index[5] = -1
    shown = [f[: 48 - 2 * max(k, 0)] for f, k in zip(noise, index, strict=True)]
    shown[0], shown[1] = noise[0][:44], noise[1]
    found = run(shown, index, classes=("a", "b", "c"))["size"]
    assert set(found.by_class) == {"a", "b"}
    assert 0.9 < found.by_class["b"].value < 1
    assert found.by_class["b"].n == 119
    mean = np.mean([e.value for e in found.by_class.values()])
    assert found.auroc.value == pytest.approx(mean)
    assert found.auroc.reason == "without c: fewer than 10 images of 5 patients"


@pytest.mark.parametrize(
    "index, patients",
    [
        ([0] * 40, None),  # one class
        ([-1] * 40, None),  # no label
        ([0] * 31 + [1] * 9, None),  # 9 images
        ([0] * 20 + [1] * 20, [f"p{k}" for k in range(20)] + ["q"] * 20),  # 1 patient
    ],
)
def test_too_little_is_a_reason_and_no_number(noise, index, patients):
    found = run(noise[:40], index, patients=patients)
    for baseline in found.values():
        assert np.isnan(baseline.auroc.value)
        assert "fewer than two classes have 10 images" in baseline.auroc.reason
        assert baseline.by_class == {}


def test_the_same_data_give_the_same_numbers(noise):
    index = np.arange(120) % 2
    assert repr(run(noise, index)) == repr(run(noise, index))


def test_large_sets_draw_the_images_of_a_tree(monkeypatch):
    rng = np.random.default_rng(0)
    index = rng.integers(0, 2, 400)
    features = rng.normal(size=(400, 3)) + 3 * index[:, None]
    folds = np.arange(400) % 2
    monkeypatch.setattr(baselines, "_DRAWN", 50)
    scores = baselines._held_out(features, index, folds, 2, 0)[:, 1]
    assert roc_auc_score(index, scores) > 0.98


def test_groups_are_patients_joined_by_their_copies():
    patients = ["d", "a", "a", "b", "c", "e", "b"]
    found = baselines.groups_of(patients, [(0, 3), (4, 5)])
    assert found.tolist() == ["b", "a", "a", "b", "c", "c", "b"]
    assert baselines.groups_of(patients, []).tolist() == patients
