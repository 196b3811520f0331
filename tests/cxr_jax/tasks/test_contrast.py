"""SimCLR: the loss against a double loop, its views, and a training on phantoms."""

import csv
import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import common
from cxr_jax import experiment, rng, steps, tasks
from cxr_jax.data import builders, roles
from cxr_jax.evaluation import evaluators
from cxr_jax.ops.registry import make_preprocess
from cxr_jax.runs import restore
from cxr_jax.tasks import contrast
from cxr_jax.train import loop as loop_lib
from tfds_builders.common.errors import InputError

TRAIN = "to_float|affine(rotate=5, shift=0.1)|brightness(0.2)|standardise"


def drawn(pictures, width=16, seed=0):
    """Two views of each: alike, but for some noise."""
    g = rng.generator(seed, "contrast")
    views = g.normal(size=(pictures, 1, width)) + 0.7 * g.normal(
        size=(pictures, 2, width)
    )
    return (g.uniform(0.5, 2, (pictures, 2, 1)) * views).astype(np.float32)


def loop(vectors, temperature):
    """Equation 1 of the paper, term by term, in float64."""
    flat = vectors.astype(np.float64).reshape(-1, vectors.shape[-1])
    losses = np.empty(len(flat))

    def similarity(i, j):
        cosine = flat[i] @ flat[j] / np.linalg.norm(flat[i]) / np.linalg.norm(flat[j])
        return math.exp(cosine / temperature)

    for i in range(len(flat)):
        partner = i + 1 if i % 2 == 0 else i - 1
        below = sum(similarity(i, k) for k in range(len(flat)) if k != i)
        losses[i] = -math.log(similarity(i, partner) / below)
    return losses.reshape(-1, 2)


@pytest.fixture
def config():
    found = common.get_config()
    common.use_task(found, "contrast", "nt_xent")
    return found.task


@pytest.mark.parametrize("temperature", [0.1, 0.5, 2.0])
@pytest.mark.parametrize("pictures", [1, 7])
def test_nt_xent_matches_the_paper(temperature, pictures):
    vectors = drawn(pictures)
    found = contrast.nt_xent(vectors, temperature=temperature)
    np.testing.assert_allclose(found, loop(vectors, temperature), rtol=2e-4, atol=1e-5)


def test_equal_vectors_cost_the_logarithm_of_their_number():
    found = contrast.nt_xent(np.ones((9, 2, 4), np.float32), temperature=0.3)
    np.testing.assert_allclose(found, math.log(17), rtol=1e-5)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_the_gradient_is_finite_for_zero_and_equal_vectors(dtype):
    vectors = np.zeros((4, 2, 8), np.float32)
    vectors[1], vectors[2] = 1.0, 1e4
    loss = jax.jit(lambda x: contrast.nt_xent(x, temperature=0.01).mean())
    vectors = jnp.asarray(vectors, dtype)
    assert loss(vectors).dtype == jnp.float32
    assert np.isfinite(loss(vectors))
    assert np.isfinite(jax.grad(loss)(vectors)).all()


def test_the_gradient_matches_finite_differences():
    vectors = drawn(3, width=4)
    loss = jax.jit(lambda x: contrast.nt_xent(x, temperature=0.5).sum())
    found = np.asarray(jax.grad(loss)(vectors))
    step = np.zeros_like(vectors)
    for place in ((0, 0, 1), (2, 1, 3)):
        step[...] = 0
        step[place] = 1e-4
        up, down = (loop(vectors + sign * step, 0.5).sum() for sign in (1.0, -1.0))
        actual = (vectors + step)[place] - (vectors - step)[place]
        assert found[place] == pytest.approx((up - down) / actual, rel=2e-2, abs=1e-3)


def test_a_split_is_evaluated_in_blocks_of_a_fixed_size():
    """70 pictures: a block of 64, and one of the last 6 and the first 58."""
    vectors = drawn(70)
    losses, found = contrast.judged(
        vectors, lambda block: contrast.nt_xent(block, temperature=0.5)
    )
    blocks = vectors[:64], np.concatenate([vectors[64:], vectors[:58]])
    expected = [loop(block, 0.5).mean(axis=1) for block in blocks]
    expected = np.concatenate([expected[0], expected[1][:6]])
    np.testing.assert_allclose(losses, expected, rtol=1e-4)
    assert 0.5 < found.mean() <= 1


def test_the_nearest_view_matches_brute_force():
    vectors = drawn(12, width=6, seed=3)
    found = contrast.retrieved(vectors)
    flat = vectors.reshape(24, -1)
    for i in range(24):
        cosines = flat @ flat[i] / np.linalg.norm(flat, axis=1)
        cosines[i] = -np.inf
        assert found[i // 2, i % 2] == (cosines.argmax() == i ^ 1)
    assert not contrast.retrieved(np.ones((3, 2, 4), np.float32)).any()


def test_settings_without_effect_are_refused(config):
    assert tasks.make_task(config).views == 2
    with config.unlocked():
        config.label_noise = 0.1
    with pytest.raises(InputError, match="label_noise"):
        tasks.make_task(config)
    with config.unlocked():
        config.label_noise, config.loss = 0.0, "cross_entropy"
    with pytest.raises(InputError, match="choose one of: nt_xent"):
        tasks.make_task(config)


@pytest.fixture
def contrast_config(tiny_config):
    with tiny_config.unlocked():
        common.use_task(tiny_config, "contrast", "nt_xent")
        tiny_config.model.pool = "projection"
        tiny_config.preprocess.train = TRAIN
    return tiny_config


def batch(count=8):
    pixels = rng.generator(0, "pictures").integers(0, 65536, (count, 48, 48, 1))
    return {"image": pixels.astype(np.uint16)}


def test_the_projection_has_two_dense_layers(contrast_config):
    params = experiment.build(contrast_config, train_examples=40).abstract_state.params
    assert params["projection"]["kernel"].shape == (8, 8)
    assert params["fc"]["kernel"].shape == (8, 128)


def test_a_step_sees_two_views_next_to_each_other(contrast_config):
    """The loss of a step, from views that are made here."""
    exp = experiment.build(contrast_config, train_examples=40)
    state, pictures = exp.init(), batch()
    ops = jax.jit(make_preprocess(TRAIN, train=True))
    views = [
        ops(pictures, rng.stream(rng.root(0), name, 0))["image"]
        for name in ("augment", "augment/1")
    ]
    assert np.abs(views[0] - views[1]).max() > 0.1
    both = np.stack(views, axis=1).reshape(16, 48, 48, 1)
    variables = {"params": state.params, **state.model_state}
    output, _ = exp.model.apply(variables, both, train=True, mutable=["batch_stats"])
    expected = loop(np.asarray(output.logits).reshape(8, 2, -1), 0.5).mean()
    settings = steps.Settings(*np.float32([1e-3, 0.0, 1.0]))
    _, metrics = jax.jit(exp.train_step)(state, pictures, rng.root(0), settings)
    assert float(metrics["loss"]) == pytest.approx(expected, rel=1e-4)


def test_evaluation_views_depend_only_on_the_image(contrast_config):
    ops, pictures = make_preprocess(TRAIN, train=True), batch()
    views = jax.jit(lambda b: steps.fixed_views(b, ops, 2)["image"])
    whole = np.asarray(views(pictures)).reshape(8, 2, 48, 48, 1)
    turned = {"image": pictures["image"][::-1][:5]}
    part = np.asarray(views(turned)).reshape(5, 2, 48, 48, 1)
    np.testing.assert_allclose(part, whole[::-1][:5], atol=1e-5)
    assert np.abs(whole[:, 0] - whole[:, 1]).max() > 0.1


def test_parts_of_a_batch_are_refused(contrast_config):
    with contrast_config.unlocked():
        contrast_config.accumulate = 2
    with pytest.raises(InputError, match="config.accumulate"):
        experiment.build(contrast_config, train_examples=40)


def test_the_batch_size_changes_nothing(contrast_config):
    exp = experiment.build(contrast_config, train_examples=40)
    builder = builders.open_builder("brixia/256", contrast_config.data.data_dir)
    split, state = builders.load(builder, "test"), exp.init()
    found = []
    for size in (2, 8):
        with contrast_config.unlocked():
            contrast_config.batch_size = size
        step = exp.compile_eval_step()
        found.append(evaluators.evaluate(exp, step, state, split, None, resamples=20))
    for name, estimate in found[0].metrics.items():
        assert estimate.value == pytest.approx(found[1].metrics[name].value, abs=1e-4)
    constant = found[0].metrics["loss_constant"].value
    assert constant == pytest.approx(math.log(2 * min(split.size, 64) - 1))


@pytest.mark.slow
def test_training_learns_to_find_the_other_view(
    contrast_config, tmp_path, keep_signals
):
    """It ends clearly below the constant predictor and far above chance."""
    with contrast_config.unlocked():
        contrast_config.total = "60 steps"
        contrast_config.every.eval = "30 steps"
        contrast_config.every.checkpoint = "30 steps"
        contrast_config.optim.lr = 3e-3
        contrast_config.model.widths = (8, 16)
    assert loop_lib.train(contrast_config, tmp_path) == 0
    found = json.loads((tmp_path / "results.json").read_text())
    metrics = found["metrics"]
    size = metrics["test/loss"]["n"]
    constant = metrics["test/loss_constant"]["value"]
    assert constant == pytest.approx(math.log(2 * size - 1))
    assert metrics["test/loss"]["hi"] < 0.9 * constant
    assert metrics["test/retrieval"]["lo"] > 2 / (2 * size - 1)
    rows = list(csv.DictReader((tmp_path / "predictions/brixia-test.csv").open()))
    assert list(rows[0]) == ["example_id", "patient_id", "loss", "retrieved"]
    mean = np.mean([float(row["loss"]) for row in rows])
    assert metrics["test/loss"]["value"] == pytest.approx(mean, rel=1e-5)
    assert found["confusion"] == {"val": {}, "test": {}}
    splits = roles.open_splits(contrast_config.data, tmp_path)
    assert len(rows) == splits.test.size


def test_its_trunk_can_start_another_training(
    contrast_config, tmp_path, keep_signals, capsys
):
    """Every array but the heads is that of the run."""
    assert loop_lib.train(contrast_config, tmp_path / "simclr") == 0
    with contrast_config.unlocked():
        common.use_task(contrast_config, "brixia", "ce_mae")
        contrast_config.model.pool = "grid"
        contrast_config.init_from = str(tmp_path / "simclr")
    exp = experiment.build(contrast_config, train_examples=40)
    begun = restore.first_state(exp)
    with contrast_config.unlocked():
        contrast_config.init_from = ""
    fresh = experiment.build(contrast_config, train_examples=40).init()
    kept = "stage1_conv1", "stage2_conv1"
    for name in kept:
        one, other = (s.params[name]["kernel"] for s in (begun, fresh))
        assert np.abs(one - other).max() > 1e-4
    one, other = (s.params["fc"]["kernel"] for s in (begun, fresh))
    np.testing.assert_array_equal(one, other)
    assert "projection" not in begun.params
    assert "init " in capsys.readouterr().out
