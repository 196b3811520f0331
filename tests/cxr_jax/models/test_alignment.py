"""The sampler against PyTorch, SciPy and finite differences; the localiser's start."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from cxr_jax.models.alignment import Localiser, resize, sample
from cxr_jax.models.init import initialise
from cxr_jax.ops import frame
from cxr_jax.rng import generator

sampled = jax.jit(sample, static_argnums=2)


@pytest.fixture(autouse=True)
def strict():
    with jax.numpy_rank_promotion("raise"):
        yield


def draw(*shape, name="x"):
    return generator(0, name).normal(size=shape).astype(np.float32)


def frames(count, spread=0.5):
    noise = generator(0, "frames").uniform(-spread, spread, (count, 2, 3))
    return (frame.IDENTITY + noise).astype(np.float32)


@pytest.mark.parametrize("shape", [None, (5, 7), (20, 12)])
def test_sampling_equals_pytorchs_grid_sample(shape):
    torch = pytest.importorskip("torch", reason="the other implementation")
    functional = torch.nn.functional
    x, theta = draw(4, 9, 11, 3), frames(4)
    planes = torch.from_numpy(x.transpose(0, 3, 1, 2).copy())
    rows, columns = shape or x.shape[1:3]
    grid = functional.affine_grid(
        torch.from_numpy(theta), [4, 3, rows, columns], align_corners=False
    )
    expected = functional.grid_sample(planes, grid, align_corners=False)
    found = sampled(x, theta, shape)
    np.testing.assert_allclose(found, expected.numpy().transpose(0, 2, 3, 1), atol=2e-5)


def test_gradients_equal_pytorchs():
    torch = pytest.importorskip("torch", reason="the other implementation")
    functional = torch.nn.functional
    x, theta, weight = draw(3, 8, 10, 2), frames(3), draw(3, 8, 10, 2, name="w")
    mine = jax.jit(jax.grad(lambda x, t: jnp.sum(sample(x, t) * weight), (0, 1)))
    planes = torch.from_numpy(x.transpose(0, 3, 1, 2).copy()).requires_grad_()
    theirs = torch.from_numpy(theta).requires_grad_()
    grid = functional.affine_grid(theirs, [3, 2, 8, 10], align_corners=False)
    y = functional.grid_sample(planes, grid, align_corners=False)
    (y * torch.from_numpy(weight.transpose(0, 3, 1, 2).copy())).sum().backward()
    by_x, by_theta = mine(x, theta)
    np.testing.assert_allclose(
        by_x, planes.grad.numpy().transpose(0, 2, 3, 1), atol=2e-5
    )
    np.testing.assert_allclose(by_theta, theirs.grad.numpy(), rtol=1e-3, atol=2e-3)


def test_the_identity_changes_nothing():
    x = draw(2, 7, 6, 3)
    np.testing.assert_allclose(sampled(x, frames(2, 0.0), None), x, atol=1e-6)


def test_any_frame_matches_scipys_resampling():
    """The frame as a matrix of pixels, by hand."""
    x, theta = draw(3, 12, 10, 1), frames(3)
    found = sampled(x, theta, None)
    change = np.array([[0, 6, 5.5], [5, 0, 4.5], [0, 0, 1]])  # to rows and columns
    for one, f, mine in zip(x, theta, found, strict=True):
        whole = change @ np.vstack([f, [0, 0, 1]]) @ np.linalg.inv(change)
        expected = ndimage.affine_transform(
            one[..., 0].astype(np.float64),
            whole[:2, :2],
            whole[:2, 2],
            order=1,
            mode="grid-constant",
        )
        np.testing.assert_allclose(mine[..., 0], expected, atol=2e-5)


def test_half_the_frame_shows_half_of_the_image():
    x = np.arange(8, dtype=np.float32).reshape(1, 1, 8, 1)
    half = np.array([[[0.5, 0, -0.5], [0, 1, 0]]], np.float32)
    np.testing.assert_allclose(
        sampled(x, half, (1, 4))[0, 0, :, 0], [0, 1, 2, 3], atol=1e-6
    )
    beyond = np.array([[[1, 0, 2], [0, 1, 0]]], np.float32)
    np.testing.assert_array_equal(sampled(x, beyond, None), np.zeros_like(x))


def test_gradients_match_finite_differences():
    x, theta, weight = draw(2, 9, 9, 2), frames(2, 0.3), draw(2, 6, 5, 2, name="w")

    def total(x, theta):
        return jnp.sum(sample(x, theta, (6, 5)) * weight)

    total = jax.jit(total)
    by_x, by_theta = jax.jit(jax.grad(total, (0, 1)))(x, theta)
    towards = draw(*x.shape, name="towards")  # it is linear in x: any step will do
    change = total(x + towards, theta) - total(x, theta)
    np.testing.assert_allclose(jnp.sum(by_x * towards), change, rtol=1e-3)
    step = 1e-3
    for place in np.ndindex(theta.shape):
        moved = np.zeros_like(theta)
        moved[place] = step
        difference = (total(x, theta + moved) - total(x, theta - moved)) / (2 * step)
        # Pixels whose neighbours change within the step add a kink each.
        assert by_theta[place] == pytest.approx(float(difference), rel=0.05, abs=0.15)


def test_members_side_by_side_give_the_same():
    x, theta = draw(3, 2, 6, 6, 4), frames(6).reshape(3, 2, 2, 3)
    together = jax.jit(jax.vmap(sample))(x, theta)
    for i in range(3):
        np.testing.assert_allclose(
            together[i], sampled(x[i], theta[i], None), atol=1e-6
        )


def test_half_precision_moves_images_to_the_right_place():
    """In bfloat16, places themselves would be off by a pixel of 256."""
    x = np.zeros((1, 256, 256, 1), np.float32)
    x[0, 200:204, 220:224] = 1
    small = np.array([[[1, 0, 0.01], [0, 1, -0.02]]], np.float32)
    found = sampled(x.astype(jnp.bfloat16), small, None)
    assert found.dtype == jnp.bfloat16
    np.testing.assert_allclose(
        found.astype(np.float32), sampled(x, small, None), atol=0.01
    )


def test_resize_to_the_same_size_is_the_identity_and_enlarging_is_linear():
    x = draw(1, 4, 4, 1)
    assert resize(x, (4, 4)) is x
    line = np.array([0.0, 1.0], np.float32).reshape(1, 1, 2, 1)
    np.testing.assert_allclose(
        resize(line, (1, 4)).ravel(), [0, 0.25, 0.75, 1], atol=1e-6
    )


class TinyLocaliser(Localiser):
    scheme: str = "he_fan_out"

    def __call__(self, lung, train=False):
        return super().__call__(lung, train)


def test_the_localiser_starts_at_the_identity_and_can_leave_it():
    module = TinyLocaliser(widths=(4, 4, 4, 4), hidden=8)
    params, state = initialise(module, (20, 24, 1), seed=0)
    lung = np.abs(draw(2, 20, 24, 1))

    def find(params):
        return module.apply({"params": params, **state}, lung)

    found = find(params)
    np.testing.assert_array_equal(found, np.stack([frame.IDENTITY] * 2))
    gradient = jax.grad(lambda p: jnp.sum(find(p)[:, 0, 2]))(params)
    assert np.abs(gradient["zero_kernel"][:, 2]).max() > 0
    assert not gradient["conv1"]["kernel"].any()  # not until the last layer has moved
