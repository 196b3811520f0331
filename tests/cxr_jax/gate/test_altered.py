import numpy as np

from cxr_jax.gate import altered

RASTERS = np.random.default_rng(0).random((3, 64, 64))


def made(of, side=64):
    return of(RASTERS, side, np.random.default_rng(1))


def close(found, expected):
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_the_films_and_their_negatives():
    close(made(altered.usual)[0], RASTERS)
    close(made(altered.inverted)[0], 1 - RASTERS)


def test_mirrored_and_closer():
    """Of a ramp from 0 to 1: down again, without up to 5 % at each end."""
    ramp = np.broadcast_to((np.arange(64) + 0.5) / 64, (3, 64, 64))
    found = altered.usual(ramp, 64, np.random.default_rng(1))[1]
    assert (np.diff(found, axis=2) < 0).all()
    assert 1 > found.max() > 0.94
    assert 0 < found.min() < 0.06


def test_turns():
    found = made(altered.turned)
    for k in (1, 2, 3):
        close(found[k - 1], np.rot90(RASTERS, k, (1, 2)))
    close(found[3], RASTERS[:, ::-1])


def test_halves_and_windows():
    left, right, top, bottom, part = made(altered.cut, 32)
    close(left, RASTERS[:, :, :32].reshape(3, 32, 2, 32, 1).mean((2, 4)))
    close(right, RASTERS[:, :, 32:].reshape(3, 32, 2, 32, 1).mean((2, 4)))
    close(top, RASTERS[:, :32].reshape(3, 32, 1, 32, 2).mean((2, 4)))
    close(bottom, RASTERS[:, 32:].reshape(3, 32, 1, 32, 2).mean((2, 4)))
    assert part.shape == (3, 32, 32)
    assert (part >= RASTERS.min()).all()
    assert (part <= RASTERS.max()).all()
