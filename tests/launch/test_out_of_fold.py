"""Pooled predictions against numpy; nothing is trained."""

import finished
import numpy as np
import pytest

from launch import out_of_fold
from launch.out_of_fold import Pooled
from tfds_builders.common.errors import InputError

FILMS = 20


def cross_validation(tmp_path, seeds=(0, 1), folds=range(5)):
    folders = []
    for seed in seeds:
        for fold in folds:
            folder = tmp_path / f"seed={seed},fold={fold}"
            changes = {"seed": seed, "data.fold": fold}
            finished.finish(folder, changes, first=FILMS * fold, films=FILMS)
            folders.append(folder)
    return folders


def drawn(patients=60, seed=0):
    """Two films a patient, of labels drawn with the probabilities that are given."""
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet(np.ones(4), (2 * patients, 6))
    labels = (rng.uniform(size=(2 * patients, 6, 1)) > probs.cumsum(-1)).sum(-1)
    ids = [f"film{k:03d}" for k in range(2 * patients)]
    of = [f"patient{k // 2:03d}" for k in range(2 * patients)]
    return Pooled(ids, of, np.arange(2 * patients) // 2 % 5, labels, probs[None])


def test_every_film_is_there_once_for_each_seed(tmp_path):
    found = out_of_fold.pool(cross_validation(tmp_path))
    assert len(set(found.example_ids)) == 5 * FILMS == len(found.example_ids)
    assert found.probs.shape == (2, 5 * FILMS, 6, 4)
    place = {name: int(name.removeprefix("film")) for name in found.example_ids}
    wanted = [place[name] // FILMS for name in found.example_ids]
    np.testing.assert_array_equal(found.fold, wanted)


def test_a_film_in_two_folds_is_refused(tmp_path):
    folders = cross_validation(tmp_path, seeds=(0,), folds=(0, 1))
    again = tmp_path / "again"
    finished.finish(again, {"seed": 0, "data.fold": 2}, first=FILMS, films=FILMS)
    with pytest.raises(InputError, match="again"):
        out_of_fold.pool([*folders, again])


def test_a_seed_that_lacks_a_fold_is_refused(tmp_path):
    folders = cross_validation(tmp_path)
    with pytest.raises(InputError, match="not tested on the same films"):
        out_of_fold.pool(folders[:-1])


def test_figures_are_those_of_numpy():
    found = drawn()
    probs = found.probs[0]
    expected = probs @ np.arange(4)
    figures = out_of_fold.figures(found, probs)
    assert figures["mae_zone"].value == pytest.approx(
        np.abs(expected - found.labels).mean()
    )
    total = expected.sum(1), found.labels.sum(1)
    assert figures["pearson_global"].value == pytest.approx(np.corrcoef(*total)[0, 1])


def test_intervals_settled_on_other_folds_hold_nine_tenths():
    found = drawn(patients=300)
    coverage = out_of_fold.coverage(found, found.probs[0])["coverage_90_global"]
    assert coverage.n == 600
    assert 0.85 < coverage.value < 0.96


def test_the_interval_of_a_fold_does_not_know_its_films():
    found = drawn()
    own = found.fold == 2
    changed = found._replace(
        labels=np.where(own[:, None], 3 - found.labels, found.labels)
    )
    one = out_of_fold.decision(found, found.probs[0], ~own)
    assert one == out_of_fold.decision(changed, found.probs[0], ~own)
    assert one != out_of_fold.decision(changed, found.probs[0])
