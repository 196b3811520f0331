import cv2
import numpy as np
import pytest
import scipy.fft

from tfds_builders.common.duplicates import candidates
from tfds_builders.common.duplicates.candidates import describe, find, learn
from tfds_builders.common.duplicates.fingerprints import SIDE, fingerprint


def prints(count, seed=0):
    """Fingerprints of `count` random pictures, of which every fifth is an old one."""
    rng = np.random.default_rng(seed)
    found = []
    for k in range(count):
        noise = rng.normal(size=(9, 9)).astype(np.float32)
        whole = cv2.resize(noise, (120, 120), interpolation=cv2.INTER_CUBIC)
        whole = cv2.normalize(whole, None, 0, 255, cv2.NORM_MINMAX, cv2.CV_8U)
        if k % 10 == 4:
            found.append(found[-1])
        elif k % 10 == 9:
            found.append(mirrored(found[-1]))
        else:
            found.append(fingerprint(whole))
    return np.stack(found)


def mirrored(prints):
    return prints.reshape(-1, SIDE, SIDE)[..., ::-1].reshape(prints.shape)


@pytest.mark.parametrize("crop", [(0, 0, 0, 0), (2, 0, 1, 3)])
def test_spectrum_is_the_cosine_transform_of_what_is_left(crop):
    small = np.random.default_rng(0).normal(size=(3, 32, 32)).astype(np.float32)
    left, right, top, bottom = crop
    inner = small[:, top : 32 - bottom, left : 32 - right]
    expected = scipy.fft.dctn(inner, axes=(1, 2), norm="ortho")[:, :16, :16]
    row, column = np.indices((16, 16))
    kept = (row**2 + column**2 >= 1) & (row**2 + column**2 <= 225)
    found = candidates._spectrum(small, np.array(crop) / 32)
    np.testing.assert_allclose(found, expected[:, kept], atol=1e-4)


def test_the_mirror_changes_signs():
    originals = prints(6)
    descriptor = learn(originals)
    plain = describe(descriptor, originals, np.arange(6))
    flipped = describe(descriptor, mirrored(originals), np.arange(6))
    signs = np.where(descriptor.first_odd, -1, 1)
    np.testing.assert_allclose(flipped.first, plain.first * signs, atol=1e-4)
    signs = np.where(descriptor.second_odd, -1, 1)
    np.testing.assert_allclose(
        flipped.second[:, 0], plain.second[:, 0] * signs, atol=1e-4
    )
    assert 30 < descriptor.first_odd.sum() < 98
    np.testing.assert_allclose(np.linalg.norm(plain.first, axis=1), 1, atol=1e-5)


def test_whitening_is_white():
    """What is learned from random pictures alone has nearly unit covariance."""
    descriptor = learn(np.zeros((0, SIDE * SIDE), np.int8))
    noise = candidates._spectrum(candidates._shrink(candidates._random_fingerprints()))
    white = (noise - descriptor.mean) @ descriptor.second
    power = np.square(white).mean(0)
    assert power.max() < 1
    assert 0.6 < np.median(power) < 1
    cross = white.T @ white / len(white) - np.diag(power)
    even = ~descriptor.second_odd
    # Exactly so within each parity, where it was diagonalised.
    assert np.abs(cross[np.ix_(even, even)]).max() < 0.01


def test_find_is_brute_force(monkeypatch):
    monkeypatch.setattr(candidates, "_BLOCK", 7)
    originals = prints(40)
    descriptor = learn(originals)
    left = describe(descriptor, originals, np.arange(40))
    right = describe(descriptor, originals, np.arange(0, 40, 2))

    def expected(first, second, both):
        found = set()
        for i in range(len(first.first)):
            for j in range(len(second.first)):
                a = first.first[i] @ second.first[j] > candidates.FIRST
                crops = [first.second[i] @ second.second[j, 0]]
                crops.append(second.second[j] @ first.second[i, 0])
                if a and np.max(crops) > candidates.SECOND and (both or i < j):
                    found.add((i, j))
        return found

    def found(*sets):
        asked = candidates.blocks(*(len(part.first) for part in sets))
        sets = (*sets, None)[:2]
        parts = [p for block in asked for p in find(descriptor, *sets, block)]
        return [
            {
                (int(i), int(j))
                for part in parts
                for i, j, m in zip(part.left, part.right, part.mirrored, strict=True)
                if m == mirrored
            }
            for mirrored in (False, True)
        ]

    within = found(left)
    assert within[0] == expected(left, left, both=False)
    assert {(10 * k + 3, 10 * k + 4) for k in range(4)} <= within[0]
    assert {(10 * k + 8, 10 * k + 9) for k in range(4)} <= within[1]
    between = found(left, right)
    assert between[0] == expected(left, right, both=True)
    every_other = describe(descriptor, mirrored(originals), np.arange(0, 40, 2))
    assert between[1] == expected(left, every_other, both=True)


def test_starts_invert_each_other_and_follow_the_crop():
    starts = candidates._STARTS.reshape(2, 2, 17, 4)
    for k, (left, right, top, bottom) in enumerate(candidates._CROPS):
        # The right picture was cropped: the left one's borders lie where it was cut.
        sx, x, sy, y = starts[0, 0, k]
        np.testing.assert_allclose(
            [x - sx / 2, x + sx / 2], [left - 0.5, 0.5 - right], atol=1e-6
        )
        np.testing.assert_allclose(
            [y - sy / 2, y + sy / 2], [top - 0.5, 0.5 - bottom], atol=1e-6
        )
        sx, x, sy, y = starts[1, 0, k]
        np.testing.assert_allclose(
            [x - sx / 2, x + sx / 2], [right - 0.5, 0.5 - left], atol=1e-6
        )
        # There and back.
        (ax, a, ay, b), (bx, c, by, d) = starts[0, :, k]
        np.testing.assert_allclose([ax * bx, ay * by], 1, atol=1e-6)
        np.testing.assert_allclose([ax * c + a, ay * d + b], 0, atol=1e-6)
