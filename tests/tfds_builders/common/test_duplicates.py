"""Near-duplicates: planted copies are found, different films are not, order is nothing."""

import cv2
import numpy as np
import pytest

from tfds_builders.common.duplicates import groups, pairs
from tfds_builders.common.fingerprints import fingerprint, pixel_hash
from tfds_builders.common.images import read_picture_8bit
from tfds_builders.common.phantom import write_release

FILMS = 60


def resized(pixels, width, height):
    return cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)


def jpeg(pixels):
    code = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 60])[1]
    return cv2.imdecode(code, cv2.IMREAD_GRAYSCALE)


def cropped(pixels, left, right, top, bottom):
    height, width = pixels.shape
    return pixels[
        round(top * height) : round((1 - bottom) * height),
        round(left * width) : round((1 - right) * width),
    ]


def brighter(pixels):
    return cv2.convertScaleAbs(pixels, alpha=1.2, beta=15)


ALTERATIONS = {
    "crop of a corner": lambda p: cropped(p, 0.05, 0, 0, 0.05),
    "crop of every side": lambda p: cropped(p, 0.05, 0.05, 0.05, 0.05),
    "128 pixels": lambda p: resized(p, 128, 128 * p.shape[0] // p.shape[1]),
    "stretched to a square": lambda p: resized(p, 224, 224),
    "JPEG of quality 60": jpeg,
    "brighter": brighter,
    "darker": lambda p: cv2.convertScaleAbs(p, alpha=0.7, beta=10),
    "flipped": lambda p: p[:, ::-1],
    "16 bits": lambda p: p.astype(np.uint16) * 257,
    "crop, JPEG, brighter": lambda p: brighter(jpeg(cropped(p, 0.05, 0, 0.05, 0))),
    "flip, crop, resize": lambda p: resized(
        cropped(p[:, ::-1], 0.03, 0.02, 0.02, 0.03), 160, 200
    ),
}


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """Pictures of different patients."""
    release = write_release(
        "covidgr", tmp_path_factory.mktemp("films") / "r", FILMS, seed=5, size=299
    )
    return [read_picture_8bit(path) for path in sorted(release.rglob("*.jpg"))]


@pytest.fixture(scope="module")
def prints(films):
    return np.stack([fingerprint(film) for film in films])


def test_different_films_are_no_copies(prints):
    assert pairs(prints) == []
    names = [f"n{k}" for k in range(FILMS)]
    assert groups(names, prints) == names


@pytest.mark.parametrize("alteration", ALTERATIONS)
def test_planted_copies(films, prints, alteration):
    copies = np.stack([fingerprint(ALTERATIONS[alteration](film)) for film in films])
    found = pairs(prints, copies)
    assert all(pair.left == pair.right for pair in found)  # no false pair
    assert len(found) >= 0.99 * FILMS
    assert all(pair.mirrored == ("flip" in alteration) for pair in found)


def test_groups_do_not_depend_on_the_order(films, prints):
    some = prints[:20]
    copies = np.stack([fingerprint(jpeg(film)) for film in films[:6]])
    flipped = np.stack([fingerprint(film[:, ::-1]) for film in films[:3]])
    names = [f"n{k:02}" for k in range(20)]
    names += [f"copy{k}" for k in range(6)] + [f"flip{k}" for k in range(3)]
    everything = np.concatenate([some, copies, flipped])
    expected = {name: name for name in names}
    for k in range(6):
        expected |= {f"n{k:02}": f"copy{k}", f"copy{k}": f"copy{k}"}
    for k in range(3):
        expected[f"flip{k}"] = f"copy{k}"
    rng = np.random.default_rng(0)
    for order in (np.arange(len(names)), rng.permutation(len(names))):
        mixed = [names[k] for k in order]
        found = dict(zip(mixed, groups(mixed, everything[order]), strict=True))
        assert found == expected


@pytest.mark.parametrize("shape", [(1, 1), (8, 8), (3, 2000), (700, 5)])
def test_odd_pictures(shape, prints):
    rng = np.random.default_rng(1)
    odd = fingerprint(rng.integers(0, 256, shape, dtype=np.uint8))
    assert odd.shape == prints[0].shape and odd.dtype == np.int8
    assert pairs(np.stack([odd, *prints[:5]])) == []


def test_nothing_and_pictures_of_one_value(prints):
    assert groups([], prints[:0]) == []
    assert pairs(prints[:1]) == []
    flat = np.stack([fingerprint(np.full((50, 40), v, np.uint8)) for v in (0, 0, 9)])
    assert not flat.any()
    assert pairs(flat) == [] and pairs(flat, prints[:4]) == []


def test_pixel_hash_is_of_the_pixels():
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    assert pixel_hash(pixels) == pixel_hash(np.asfortranarray(pixels))
    others = [pixels.reshape(4, 3), pixels.astype(np.uint16), pixels + 1]
    assert len({pixel_hash(p) for p in (pixels, *others)}) == 4
