import json
import math
import subprocess
import sys

import numpy as np
import pytest
from gate_films import features_of
from gate_golden import steps
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cxr_jax.gate import gradients, judge
from cxr_jax.gate.fitted import CHECKS
from cxr_jax.gate.gate_file import to_json

SHAPES = st.one_of(
    hnp.array_shapes(min_dims=2, max_dims=2, max_side=90),
    st.sampled_from([(1, 1), (1, 4000), (4000, 1), (64, 64), (63, 64), (64, 129)]),
)
FILMS = hnp.arrays(st.sampled_from([np.uint8, np.uint16]), SHAPES)


@given(film=FILMS)
@settings(max_examples=100, deadline=None)
def test_any_film_has_a_verdict(gate, film):
    found = judge.judge(gate, film, features_of([film])[0])
    assert found.passed == (not found.findings)
    names = [finding.check for finding in found.findings]
    assert names == [check for check in CHECKS if check in names]
    for finding in found.findings:
        assert finding.limit < finding.score < math.inf


@pytest.mark.parametrize(
    ("shape", "finds"),
    [((64, 64), False), ((63, 64), True), ((64, 128), False), ((129, 64), True)],
)
def test_sides(gate, shape, finds):
    assert (judge.misfit(gate, shape) > 1) == finds


def test_a_large_film(gate, held):
    film = np.kron(held[0], np.ones((30, 30), np.uint8))
    assert min(film.shape) > 3000
    small, large = judge.look(held[0]), judge.look(film)
    np.testing.assert_allclose(large.described, small.described, atol=1e-12)


@pytest.mark.parametrize("value", [0, 77, 255])
def test_a_film_of_one_grey_is_blank_and_nothing_else(gate, value):
    film = np.full((300, 300), value, np.uint8)
    found = judge.judge(gate, film, np.zeros(9))
    assert [finding.check for finding in found.findings] == ["blank"]


def test_letters_on_a_blank_film_do_not_make_a_film(gate):
    film = np.zeros((320, 320), np.uint8)
    film[:10, :80] = 255
    found = judge.judge(gate, film, np.zeros(9))
    assert [finding.check for finding in found.findings] == ["blank"]


def test_features_that_are_not_numbers_pass_nothing(gate, held):
    found = judge.judge(gate, held[0], np.full(9, np.nan))
    assert not found.passed
    assert found.findings[-1].check == "unlike_training"


def test_golden_values_follow_from_each_other(gate, held):
    """What another implementation is compared with, by the formulas as documented."""
    film = held[0]
    found = json.loads(json.dumps(steps(gate, film, features_of([film])[0])))
    stored = to_json(gate)
    assert found["shape"] == list(film.shape)
    total = np.mean(found["raster"]) * 255
    assert total == pytest.approx(film.mean(), rel=1e-9)
    described = np.array(found["described"])
    expected = gradients.histograms(np.array([found["ranks"]]))[0]
    np.testing.assert_array_equal(described, expected)
    for name, of in gate.maps.items():
        odds = math.fsum(of.weights.astype(float) * described) + of.bias
        assert found["scores"][name] == pytest.approx(odds, abs=1e-9)
    away = described - gate.view.mean
    inside = gate.view.basis.T.astype(float) @ (gate.view.basis.astype(float) @ away)
    beside = ((away - inside) ** 2).sum() / stored["view"]["rest"]
    within = ((gate.view.basis @ away) ** 2 / gate.view.variances).sum()
    distance = math.sqrt((beside + within) / gradients.LENGTH)
    assert found["scores"]["view"] == pytest.approx(distance, rel=1e-4)
    assert found["passed"] == (not found["findings"])


def test_needs_numpy_alone(gate, tmp_path):
    """As where a bundle is used: without JAX, SciPy and the rest."""
    path = tmp_path / "gate.json"
    path.write_text(json.dumps(to_json(gate)))
    code = f"""if True:
        import json, sys
        for name in ("jax flax optax scipy sklearn tensorflow_datasets orbax grain "
                     "absl ml_collections matplotlib threadpoolctl cv2").split():
            sys.modules[name] = None
        import numpy as np
        from cxr_jax.gate.gate_file import from_json
        from cxr_jax.gate.judge import judge
        gate = from_json(json.load(open({str(path)!r})))
        print(judge(gate, np.zeros((90, 80), np.uint8), np.zeros(9)).findings[0].check)
    """
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "blank"
