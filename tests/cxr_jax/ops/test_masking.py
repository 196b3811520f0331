"""What the ops hide, and the controls of the audit made from them."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs import radiography
from cxr_jax import experiment, rng
from cxr_jax.ops import masking
from cxr_jax.ops.registry import make_preprocess
from cxr_jax.state import evaluation_variables
from tfds_builders.common.errors import InputError

# A run whose batches have masks may use either; the others need none.
WRITTEN = {
    "border only": "border_only",
    "nothing": "hide_middle(1)",
    "lungs hidden": "hide_lungs",
    "lungs only": "lungs_only",
    **{f"middle {s:.0%} hidden": f"hide_middle({s})" for s in masking.HIDDEN[:-1]},
}


@pytest.fixture(autouse=True)
def strict():
    with jax.numpy_rank_promotion("raise"):
        yield


def make_batch(side=50, dtype=np.uint16):
    draw = rng.generator(0, "hiding")
    top = np.iinfo(dtype).max
    image = draw.integers(1, top, (3, side, side, 1), dtype, endpoint=True)
    mask = np.zeros((3, side, side, 1), np.uint8)
    mask[:, side // 5 : side // 2, side // 4 : side // 3] = 255
    mask[1] = 0  # no lung was found
    return {"image": image, "mask": mask}


def shown(text, batch, *, train=False):
    ops = make_preprocess(text, train=train)
    return np.asarray(jax.jit(ops)(batch, jax.random.key(0))["image"])


def test_every_control_has_an_op():
    assert set(WRITTEN) == {control.name for control in masking.controls(True)}


@pytest.mark.parametrize("control", masking.controls(True), ids=lambda c: c.name)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("side", [50, 63])
def test_a_control_hides_integers_as_its_op_hides_floats(control, dtype, side):
    batch = make_batch(side, dtype)
    hidden = control.hide(batch)["image"]
    assert isinstance(hidden, np.ndarray) and hidden.dtype == dtype
    expected = shown("to_float", {"image": hidden})
    text = f"to_float|{WRITTEN[control.name]}"
    for train in (True, False):
        np.testing.assert_array_equal(shown(text, batch, train=train), expected)


def test_lungs_and_background_make_up_the_image():
    batch = make_batch()
    without, alone = (
        op()(batch)["image"] for op in (masking.hide_lungs, masking.lungs_only)
    )
    np.testing.assert_array_equal(without + alone, batch["image"])
    assert not without[0, 10:25, 12:16].any() and not alone[1].any()


@settings(max_examples=10, deadline=None)
@given(st.floats(0.05, 1), st.integers(10, 90), st.integers(10, 90))
def test_the_share_is_of_the_area(share, height, width):
    batch = {"image": np.full((1, height, width, 1), 255, np.uint8)}
    found = make_preprocess(f"to_float|hide_middle({share})", train=False)(batch)
    hidden = np.asarray(found["image"])[0, ..., 0] == 0
    # A side is hidden to within a pixel, half on each edge.
    for visible, side in ((hidden.any(1), height), (hidden.any(0), width)):
        assert abs(visible.sum() - side * share**0.5) <= 1 + 1e-9
    np.testing.assert_array_equal(hidden, hidden[::-1, ::-1])


def test_a_border_has_its_width_on_every_edge():
    found = shown("to_float|border_only(0.1)", make_batch())[..., 0]
    assert not found[:, 5:-5, 5:-5].any()
    assert found[:, :5].all() and found[:, -5:].all()
    assert found[:, :, :5].all() and found[:, :, -5:].all()


def test_hidden_parts_never_come_back():
    """Later ops move what is left of the image."""
    batch = make_batch()
    other = batch | {"image": batch["image"].copy()}
    other["image"][:, 10:-10, 10:-10] //= 2  # differs where it will be black
    text = "to_float|border_only(0.08)|affine(rotate=30, shift=0.2, zoom=0.3)|flip_lr"
    for more in ("", "|resize(32)|standardise"):
        one, two = (shown(text + more, each, train=True) for each in (batch, other))
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(
    "text, message",
    [
        ("to_float|hide_middle", "share"),
        ("to_float|hide_middle(0)", "share must be from 0.01"),
        ("to_float|hide_middle(15)", "share must be from 0.01 to 1"),
        ("to_float|border_only(0.6)", "width must be from 0.01 to 0.5"),
        ("hide_middle(0.5)|to_float", "put to_float before hide_middle"),
        ("to_float|standardise|border_only", "move border_only before standardise"),
    ],
)
def test_wrong_arguments_and_places_are_refused(text, message):
    with pytest.raises(InputError, match=message):
        make_preprocess(text, train=False)


@pytest.mark.parametrize("name", ["hide_lungs", "lungs_only"])
def test_missing_masks_are_named(name):
    with pytest.raises(InputError, match=rf"{name}[\s\S]*config.data.masks=True"):
        shown(f"to_float|{name}", {"image": make_batch()["image"]})


@pytest.mark.parametrize("name", ["hide_lungs", "lungs_only"])
def test_a_classifier_can_use_masks_in_its_ops_only(name):
    config = radiography.get_config("size=32")
    config.data.masks, config.data.size, config.model.name = True, 32, "cnn"
    for role in ("train", "eval"):
        text = config.preprocess[role]
        config.preprocess[role] = text.replace("to_float", f"to_float|{name}")
    exp = experiment.build(config.lock(), train_examples=64)
    batch = experiment.abstract_batch(config, exp.task, np.uint8)
    assert "mask" in batch
    variables = evaluation_variables(exp.abstract_state)
    found = jax.eval_shape(exp.eval_step, variables, batch)
    assert found["probs"].shape == (config.batch_size, 4)
