"""What is refused of phantoms, and how often."""

import csv
import json

import numpy as np
import pytest
from gate_films import FITTED, HELD, features_of
from places import SHARED_DATA
from scipy import stats

from cxr_jax.gate import fit as fit_lib
from cxr_jax.gate.fit import MOST, RATE, fit
from cxr_jax.gate.fitted import CHECKS, MAPS, UNLIKE, VIEW
from cxr_jax.gate.gate_file import to_json
from cxr_jax.gate.judge import judge
from tfds_builders.common.errors import InputError
from tfds_builders.common.images import read_grey


def verdicts(gate, films):
    return [judge(gate, film, features_of([film])[0]) for film in films]


def shares(gate, films) -> dict[str, float]:
    """The share of the films that each check finds."""
    found = [[f.check for f in v.findings] for v in verdicts(gate, films)]
    return {check: np.mean([check in one for one in found]) for check in CHECKS}


def most_wrong(fitted: int, judged: int) -> int:
    """Films that a check wrongly refuses at most, but in 1 of 1000 such tests.

    The limit is the k-th highest of `fitted` scores. Of exchangeable scores the number
    above it among others has a beta-binomial distribution.
    """
    k = max(int(RATE * (fitted + 1)), 1)
    return int(stats.betabinom(judged, k, fitted + 1 - k).ppf(0.999))


def test_few_films_like_the_fitted_ones_are_refused(gate, held):
    found = shares(gate, held)
    for check in CHECKS:
        assert found[check] * HELD <= most_wrong(FITTED, HELD), check
    assert found["blank"] == found["size"] == 0


@pytest.mark.parametrize(
    ("check", "alter"),
    [
        ("polarity", lambda film: 255 - film),
        ("orientation", np.rot90),
        ("orientation", lambda film: np.rot90(film, 2)),
        ("orientation", lambda film: np.rot90(film, 3)),
        ("orientation", np.flipud),
        ("cropped", lambda film: film[len(film) // 3 :, film.shape[1] // 2 :]),
        (VIEW, lambda film: film * 0 + np.arange(film.shape[1], dtype=np.uint8)),
        ("blank", lambda film: film // 64),
        (UNLIKE, lambda film: film // 2),
    ],
)
def test_altered_films_are_found(gate, held, check, alter):
    found = shares(gate, [alter(film) for film in held])
    assert found[check] >= 0.95, found


@pytest.mark.parametrize("turns", range(4))
def test_halves_are_refused(gate, held, turns):
    """Some for their sides, which are more than twice as long as wide."""
    halves = [np.rot90(f, turns)[: f.shape[turns % 2] // 2] for f in held]
    found = verdicts(gate, [np.rot90(half, -turns) for half in halves])
    assert np.mean([not verdict.passed for verdict in found]) >= 0.95


def test_mirror_images_are_not_found(gate, held):
    films = [film[:, ::-1] for film in held]
    found = shares(gate, films)
    assert max(found.values()) * HELD <= most_wrong(FITTED, HELD), found


def test_no_film_that_is_more_probably_unaltered_is_refused(gate):
    assert min(gate.maps[name].limit for name in MAPS) >= 0


def test_the_same_films_and_seed_give_the_same_gate(gate, phantoms):
    again = fit(phantoms[:FITTED], features_of, 0)
    assert json.dumps(to_json(again)) == json.dumps(to_json(gate))


def test_16_bits_are_judged_as_8_bits_are(gate, held):
    deep = [film.astype(np.uint16) * 257 for film in held[:10]]
    assert verdicts(gate, deep) == verdicts(gate, held[:10])


class Lazy:
    """A sequence that notes what is looked up."""

    def __init__(self, films, n):
        self.films, self.n, self.seen = films, n, set()

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        assert 0 <= i < self.n
        self.seen.add(int(i))
        return self.films[i % len(self.films)]


def test_of_many_films_only_some_are_looked_up(phantoms, monkeypatch):
    monkeypatch.setattr(fit_lib, "MOST", 40)
    films = Lazy(phantoms, 20_000)
    assert fit(films, features_of, 0).films == 40
    assert len(films.seen) == 40
    assert max(films.seen) > 10_000
    assert MOST > 99  # or no limit could be that of one film in a hundred


def test_films_of_a_patient_are_in_one_fold():
    patients = list("aabbbcdefghhij")
    folds = fit_lib._folds(patients, 0)
    both = set(zip(patients, folds, strict=True))
    assert len(both) == len(set(patients))
    assert set(folds) == set(range(5))


def test_copies_of_a_patient_do_not_hide_how_far_new_ones_are(phantoms):
    """Ten copies of each film, noise apart: among them, each looks quite usual."""
    rng = np.random.default_rng(0)
    films = [f for film in phantoms[:20] for f in [film] * 5]
    films = [np.clip(f + rng.integers(-2, 3, f.shape), 0, 255) for f in films]
    films = [film.astype(np.uint8) for film in films]
    grouped = fit(films, features_of, 0, patients=np.arange(100) // 5)
    single = fit(films, features_of, 0)
    assert grouped.view.limit > single.view.limit


def test_films_that_the_network_has_not_seen_raise_the_limit(phantoms, gate):
    darker = [film // 2 for film in phantoms[:10]]
    found = fit(phantoms[:FITTED], features_of, 0, unseen=darker)
    assert found.unlike_training.limit > 1.5 * gate.unlike_training.limit
    assert found.view.limit == gate.view.limit
    nearer = fit(phantoms[:FITTED], features_of, 0, unseen=phantoms[:1])
    assert nearer.unlike_training.limit == gate.unlike_training.limit


def test_blank_films_are_left_out_and_too_few_are_an_error(phantoms):
    films = phantoms[:19] + [np.zeros((64, 64), np.uint8)] * 9
    with pytest.raises(InputError, match="19 films that are not blank"):
        fit(films, features_of, 0)
    assert fit(phantoms[:20] + films[19:], features_of, 0).films == 20
    with pytest.raises(InputError, match="0 films"):
        fit([], features_of, 0)


def test_films_of_odd_sizes_are_fitted_to_and_pass(phantoms):
    narrow = [film[:50, : film.shape[1]] for film in phantoms[:30]]
    gate = fit(narrow, features_of, 0)
    assert gate.shortest == 50
    assert gate.aspect > 2
    found = shares(gate, narrow)
    assert found["size"] == 0


@pytest.mark.skipif(not SHARED_DATA.exists(), reason="needs the real films")
def test_real_laterals_are_found_by_a_gate_of_frontal_films():
    frontal = sorted((SHARED_DATA / "NIH-ChestX-ray14/images").glob("*.png"))[:260]
    films = [read_grey(path).pixels for path in frontal]
    patients = [path.name.split("_")[0] for path in frontal]
    gate = fit(films[:160], features_of, 0, patients=patients[:160])
    folder = SHARED_DATA / "covid-chestxray-dataset"
    with (folder / "metadata.csv").open(encoding="utf-8") as table:
        rows = [row for row in csv.DictReader(table) if row["view"] == "L"]
    lateral = [folder / "images" / row["filename"] for row in rows]
    assert len(lateral) == 43
    found = shares(gate, [read_grey(path).pixels for path in lateral])
    assert max(found[VIEW], found["cropped"]) > 0.6, found
    usual = shares(gate, films[160:])
    for check in (*MAPS, VIEW):
        assert usual[check] * 100 <= most_wrong(160, 100), check
