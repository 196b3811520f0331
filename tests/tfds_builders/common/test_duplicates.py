import cv2
import numpy as np
from scipy.stats import pearsonr

from tfds_builders.common.duplicates import groups, thumbnail


def picture(seed, shape=(240, 200)):
    """A smooth random picture; different seeds correlate by chance only."""
    noise = np.random.default_rng(seed).normal(size=(6, 6)).astype(np.float32)
    smooth = cv2.resize(noise, shape[::-1], interpolation=cv2.INTER_CUBIC)
    return cv2.normalize(smooth, None, 20, 200, cv2.NORM_MINMAX, cv2.CV_8U)


def jpeg(pixels, quality=60):
    code = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return cv2.imdecode(code, cv2.IMREAD_GRAYSCALE)


def test_thumbnails_multiply_to_a_correlation():
    one, two = picture(0), picture(1)
    small = [
        cv2.resize(p.astype(np.float64), (32, 32), interpolation=cv2.INTER_AREA)
        for p in (one, two)
    ]
    expected = pearsonr(small[0].ravel(), small[1].ravel())[0]
    np.testing.assert_allclose(thumbnail(one) @ thumbnail(two), expected, atol=1e-4)


def test_planted_copies_are_found():
    originals = {f"n{i}": picture(i) for i in range(30)}
    copies = {
        "small": cv2.resize(originals["n3"], (80, 96), interpolation=cv2.INTER_AREA),
        "jpeg": jpeg(originals["n5"]),
        "bright": np.clip(originals["n5"] * 1.1 + 15, 0, 255).astype(np.uint8),
        "a-jpeg-of-small": jpeg(cv2.resize(originals["n3"], (150, 180))),
        "16 bits": originals["n7"].astype(np.uint16) * 257,
    }
    pictures = originals | copies
    names = list(pictures)
    found = dict(
        zip(
            names,
            groups(names, np.stack([thumbnail(p) for p in pictures.values()])),
            strict=True,
        )
    )
    assert found["n3"] == found["small"] == found["a-jpeg-of-small"]
    assert found["n3"] == "a-jpeg-of-small"  # the smallest name
    assert found["n5"] == found["jpeg"] == found["bright"] == "bright"
    assert found["n7"] == found["16 bits"] == "16 bits"
    alone = originals.keys() - {"n3", "n5", "n7"}
    assert all(found[name] == name for name in alone)


def test_chains_are_one_group():
    # Unit vectors 5 degrees apart: neighbours correlate by 0.996, the ends by 0.985.
    angles = np.radians([0, 5, 10, 90])
    vectors = np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)
    assert groups(["d", "c", "b", "a"], vectors) == ["b", "b", "b", "a"]


def test_blocks_agree_with_one_matrix(monkeypatch):
    monkeypatch.setattr("tfds_builders.common.duplicates._BLOCK", 7)
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(9, 50))
    owner = rng.integers(0, 9, 40)
    vectors = centres[owner] + 0.02 * rng.normal(size=(40, 50))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    names = [f"{i:02d}" for i in rng.permutation(40)]
    found = groups(names, vectors.astype(np.float32))
    expected = [
        min(n for n, o in zip(names, owner, strict=True) if o == mine) for mine in owner
    ]
    assert found == expected


def test_blank_pictures_are_no_copies_of_each_other():
    blank = [thumbnail(np.full((50, 50), value, np.uint8)) for value in (0, 99)]
    assert groups(["a", "b"], np.stack(blank)) == ["a", "b"]
