"""The preprocessing string: what it accepts, what it refuses, and its random keys."""

import ast
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxr_jax.ops import OPS, make_preprocess
from cxr_jax.ops.registry import parse
from tfds_builders.common.errors import InputError

FULL = (
    "to_float|resize(20, 24)|affine(rotate=10, shift=0.05, zoom=0.1, shear=5)"
    "|brightness(0.2)|contrast(0.2)|flip_lr|erase(0.1)|standardise"
)

# One valid way to write each op, beside the forms that hypothesis makes up.
EXAMPLES = {
    "crop_middle": "crop_middle(0.8)",
    "to_float": "to_float",
    "resize": "resize(16)",
    "to_rgb": "to_rgb",
    "standardise": "standardise",
    "normalise": "normalise(0.5, 0.25)",
    "hide_middle": "hide_middle(0.3)",
    "border_only": "border_only",
    "hide_lungs": "hide_lungs",
    "lungs_only": "lungs_only",
    "lung_frame": "lung_frame",
    "pose": "pose(rotate=10)",
    "affine": "affine(rotate=10)",
    "flip_lr": "flip_lr",
    "flip_ud": "flip_ud",
    "brightness": "brightness(0.2)",
    "contrast": "contrast(0.2)",
    "equalise": "equalise",
    "clahe": "clahe(2.0, 2)",
    "complement": "complement",
    "gamma": "gamma(0.8)",
    "bcet": "bcet",
    "erase": "erase(0.1)",
}


@pytest.fixture(autouse=True)
def strict():
    with jax.numpy_rank_promotion("raise"):
        yield


def make_batch(count=4, height=18, width=22, seed=0):
    draw = np.random.default_rng(seed)
    return {
        "image": draw.integers(0, 65536, (count, height, width, 1)).astype(np.uint16),
        "scores": draw.integers(0, 4, (count, 6)).astype(np.int32),
    }


@functools.cache
def compiled(text):
    return jax.jit(make_preprocess(text, train=True))


def run_full(batch, seed):
    # JAX raises if any two draws come from one key.
    with jax.debug_key_reuse(True):
        out = compiled(FULL)(batch, jax.random.key(seed))
    return {name: np.asarray(value) for name, value in out.items()}


def test_every_op_has_an_example():
    assert set(EXAMPLES) == set(OPS)


def test_full_string_gives_standardised_floats_of_the_requested_size():
    batch = make_batch()
    before = {name: value.copy() for name, value in batch.items()}
    out = run_full(batch, 0)
    assert out["image"].shape == (4, 20, 24, 1)
    assert out["image"].dtype == np.float32
    np.testing.assert_allclose(out["image"].mean(axis=(1, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(out["image"].std(axis=(1, 2, 3)), 1, atol=1e-4)
    assert out["scores"].dtype == np.int32
    for name, value in before.items():
        np.testing.assert_array_equal(batch[name], value)


def test_the_key_determines_the_draws():
    one, again, other = (run_full(make_batch(), seed)["image"] for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert (np.abs(one - other).max(axis=(1, 2, 3)) > 0.1).all()


def test_examples_of_a_batch_get_independent_draws():
    batch = {name: value[:1].repeat(4, axis=0) for name, value in make_batch().items()}
    image = run_full(batch, 0)["image"]
    for other in (1, 2, 3):
        assert np.abs(image[0] - image[other]).max() > 0.1


def test_jit_and_eager_agree():
    batch, key = make_batch(), jax.random.key(1)
    text = "to_float|contrast(0.2)|flip_lr"
    eager = make_preprocess(text, train=True)(batch, key)
    jitted = compiled(text)(batch, key)
    np.testing.assert_allclose(eager["image"], jitted["image"], atol=1e-6)
    np.testing.assert_array_equal(eager["scores"], jitted["scores"])


def test_vmap_and_scan_over_batches_and_keys_equal_separate_calls():
    preprocess = compiled("to_float|affine(rotate=10)|flip_lr")
    batches = [make_batch(seed=seed) for seed in (0, 1, 2)]
    stacked = jax.tree.map(lambda *each: np.stack(each), *batches)
    keys = jax.random.split(jax.random.key(3), 3)
    members = jax.jit(jax.vmap(preprocess))(stacked, keys)
    _, scanned = jax.lax.scan(lambda c, x: (c, preprocess(*x)), 0, (stacked, keys))
    for i, (batch, key) in enumerate(zip(batches, keys, strict=True)):
        alone = preprocess(batch, key)
        for many in (members, scanned):
            np.testing.assert_allclose(many["image"][i], alone["image"], atol=2e-5)
            np.testing.assert_array_equal(many["scores"][i], alone["scores"])


def test_adding_an_op_does_not_change_the_draws_of_others():
    scores = np.tile(np.arange(6, dtype=np.int32), (64, 1))
    batch = {"image": np.zeros((64, 2, 2, 1), np.uint8), "scores": scores}

    def flipped(text):
        out = compiled(text)(batch, jax.random.key(5))
        return np.asarray(out["scores"])[:, 0] == 3

    alone = flipped("to_float|flip_lr")
    assert 0 < alone.sum() < 64
    np.testing.assert_array_equal(alone, flipped("flip_lr|to_float|brightness(0.2)"))
    # A second one of the same name has a stream of its own: else they would cancel.
    twice = flipped("to_float|flip_lr|flip_lr")
    assert 0 < twice.sum() < 64
    assert (twice != alone).any()


def test_evaluation_needs_no_key():
    preprocess = make_preprocess("to_float|resize(16)|standardise", train=False)
    assert jax.eval_shape(preprocess, make_batch())["image"].shape == (4, 16, 16, 1)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["is empty"]),
        (" \n", ["is empty"]),
        (None, ["is empty", "None"]),
        ("to_float||flip_lr", ["'' is not an op"]),
        ("to_float|", ["'' is not an op"]),
        ("to_float|flip_rl", ["unknown op 'flip_rl'", "did you mean 'flip_lr'"]),
        ("to_float|solarise_xyz", ["unknown op", "The ops are affine, bcet"]),
        ("to_float|affine(rotat=10)", ["affine:", "rotat", "rotate=0"]),
        ("to_float|affine(10, rotate=10)", ["affine:", "rotate"]),
        ("to_float|affine(rotate='10')", ["rotate must be a number", "'10'"]),
        ("to_float|affine(rotate=True)", ["rotate must be a number", "True"]),
        ("to_float|affine(rotate=-1)", ["rotate must be from 0 to 180", "-1"]),
        ("to_float|affine(zoom=1e999)", ["zoom must be from", "inf"]),
        ("to_float|affine(fill='nearest')", ["fill must be 'edge' or 'zero'"]),
        ("to_float|resize(0)", ["height must be from 1"]),
        ("to_float|resize(25.6)", ["height must be a whole number"]),
        ("to_float|resize()", ["resize:", "height"]),
        ("to_float|resize(64, 64, 64)", ["resize:", "method", "64"]),
        ("to_float|brightness()", ["either one amount", "both lo and hi"]),
        ("to_float|brightness(0.2, hi=1)", ["either one amount"]),
        ("to_float|brightness(lo=1, hi=0.2)", ["lo must not exceed hi"]),
        ("to_float|erase(0.001)", ["fraction must be from 0.02"]),
        ("to_float|erase(0.1, p=2)", ["p must be from 0 to 1"]),
        ("to_float|normalise(123.7, 58.4)", ["mean must be from 0 to 1", "123.7"]),
        ("to_float|normalise((), 0.5)", ["at least one number"]),
        ("to_float|normalise((0.4, 0.5), (0.1, 0.1, 0.1))", ["2 numbers", "std 3"]),
        ("to_float|affine(rotate=1, rotate=2)", ["given once"]),
        ("to_float|affine(**{'rotate': 1})", ["given once"]),
        ("to_float|affine(rotate=degrees)", ["is not an op"]),
        ("to_float|__import__('os').getcwd()", ["is not an op"]),
        ("to_float|resize(" + "(" * 500 + "1" + ")" * 500 + ")", ["is not an op"]),
        ("to_float|resize(0x" + "f" * 9000 + ")", ["resize"]),
        ("resize(64)|to_float", ["resize needs floats", "put to_float before resize"]),
        ("to_float|to_float", ["to_float is used twice"]),
        ("flip_lr", ["as stored integers", "add to_float"]),
        ("to_float|standardise|contrast(0.2)", ["contrast needs floats in [0, 1]"]),
    ],
)
def test_mistakes_are_named(text, words):
    with pytest.raises(InputError) as error:
        make_preprocess(text, train=True)
    for word in words:
        assert word in str(error.value)
    assert "\n  -> " in str(error.value)


@pytest.mark.parametrize("name", [name for name, op in OPS.items() if op.random])
def test_random_ops_are_refused_in_evaluation(name):
    text = f"to_float|{EXAMPLES[name]}"
    make_preprocess(text, train=True)
    with pytest.raises(InputError, match=f"{name} is random.*evaluation"):
        make_preprocess(text, train=False)


def test_unsuitable_images_are_refused_when_traced():
    batch = {"image": jax.ShapeDtypeStruct((2, 8, 8, 3), jnp.uint8)}
    for text, words in (
        ("to_float|to_rgb", "3 channels"),
        ("to_float|normalise((0.4, 0.5), 0.2)", "2 numbers for images of 3"),
    ):
        with pytest.raises(InputError, match=words):
            jax.eval_shape(make_preprocess(text, train=False), batch)
    batch = {"image": jax.ShapeDtypeStruct((2, 8, 8, 1), jnp.float32)}
    with pytest.raises(InputError, match="float32"):
        jax.eval_shape(make_preprocess("to_float", train=False), batch)


literals = st.one_of(
    st.integers(-(10**30), 10**30),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.none(),
    st.text("abc éß'\"\\,()=", max_size=5),
    st.lists(st.integers(), max_size=3).map(tuple),
)
arguments = st.dictionaries(
    st.sampled_from(["rotate", "p", "lo", "hi", "other"]), literals, max_size=3
)
calls = st.tuples(
    st.sampled_from(sorted(OPS)), st.lists(literals, max_size=3), arguments
)


@settings(max_examples=50, deadline=None)
@given(st.lists(calls, min_size=1, max_size=6), st.sampled_from(["|", " | ", "\n|"]))
def test_parse_reads_back_what_was_written(chain, bar):
    def write(name, args, kwargs):
        inside = [repr(each) for each in args]
        inside += [f"{key}={value!r}" for key, value in kwargs.items()]
        return f"{name}({', '.join(inside)})" if inside else name

    read = parse(bar.join(write(*call) for call in chain))
    assert [tuple(call) for call in read] == [
        (name, tuple(args), kwargs) for name, args, kwargs in chain
    ]


# Rubbish with the alphabet of real strings gets further than plain rubbish.
pieces = st.sampled_from(
    [*EXAMPLES.values(), *OPS, "|", "(", ")", "=", ",", "0.1", "'", "[", "-", "#", "\0"]
)


@settings(max_examples=200, deadline=None)
@given(
    st.one_of(
        st.text(max_size=30),
        st.lists(pieces, max_size=12).map("".join),
        st.lists(calls, max_size=4).map(
            lambda chain: "|".join(f"{n}(*{a!r})" for n, a, _ in chain)
        ),
        st.lists(calls, max_size=4).map(
            lambda chain: (
                "to_float|"
                + "|".join(
                    f"{n}({', '.join(f'{k}={v!r}' for k, v in kw.items())})"
                    for n, _, kw in chain
                )
            )
        ),
        literals,
    )
)
@pytest.mark.filterwarnings("ignore::SyntaxWarning")
def test_garbage_is_refused_with_an_input_error_or_works(text):
    try:
        preprocess = make_preprocess(text, train=True)
    except InputError as error:
        assert error.found
        assert error.hint
    else:
        # What is accepted is a chain of known ops that begins from stored pixels.
        assert callable(preprocess)
        for piece in text.split("|"):
            node = ast.parse(piece.strip(), mode="eval").body
            assert getattr(node, "func", node).id in OPS


@settings(max_examples=12, deadline=None)
@given(st.lists(st.sampled_from(sorted(EXAMPLES)), max_size=5), st.integers(0, 99))
def test_accepted_chains_trace_to_one_shape(names, seed):
    """Any order of ops is refused with a reason, or keeps the batch shapes and types."""
    text = "|".join(["to_float", *(EXAMPLES[name] for name in names)])
    batch = {
        "image": jax.ShapeDtypeStruct((3, 20, 16, 1), jnp.uint8),
        "scores": jax.ShapeDtypeStruct((3, 6), jnp.int32),
        "consensus_mean": jax.ShapeDtypeStruct((3, 6), jnp.float32),
    }
    try:
        out = jax.eval_shape(
            make_preprocess(text, train=True), batch, jax.random.key(seed)
        )
    except InputError:
        return
    size = (20, 16)
    for name in names:
        if name == "resize":
            size = (16, 16)
        if name == "crop_middle":
            size = tuple(side - 2 * round(side * 0.1) for side in size)
    channels = 3 if "to_rgb" in names else 1
    assert out["image"].shape == (3, *size, channels)
    assert out["image"].dtype == jnp.float32
    for name in ("scores", "consensus_mean"):
        assert (out[name].shape, out[name].dtype) == ((3, 6), batch[name].dtype)
