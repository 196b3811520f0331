"""Digests by which another build of a dataset is noticed."""

import cv2
import numpy as np
import pytest

from tfds_builders.common.build import identity
from tfds_builders.common.images import encode_png

GREY = np.arange(600, dtype=np.uint16).reshape(20, 30)


def test_the_values_of_all_pictures_count_and_nothing_else():
    image, mask = encode_png(GREY), encode_png(np.zeros((4, 4), np.uint8))
    packed = cv2.imencode(".png", GREY, [cv2.IMWRITE_PNG_COMPRESSION, 9])[1].tobytes()
    assert packed != image
    found = identity.pictures_digest({"image": image, "label": 1})
    assert found == identity.pictures_digest({"label": "2", "image": packed})
    changed = GREY.copy()
    changed[3, 4] += 1
    others = [
        {"image": encode_png(changed)},
        {"image": encode_png(GREY.T.copy())},
        {"image": image, "mask": mask},
        {"mask": image},
        {},
    ]
    digests = {identity.pictures_digest(features) for features in others}
    assert len({found, *digests}) == 6


def test_the_order_of_a_split_does_not_count():
    pixels = {"a": "1", "b": "2", "c": "3"}
    found = identity.split_digest(pixels, ["a", "b"])
    assert found == identity.split_digest(pixels, ["b", "a"])
    swapped = {"a": "2", "b": "1", "c": "3"}
    assert found != identity.split_digest(swapped, ["a", "b"])
    assert found != identity.split_digest(pixels, ["a", "c"])


@pytest.mark.parametrize(
    ("change", "cheap", "whole"),
    [
        (lambda path: None, "", ""),
        (lambda path: path.unlink(), "is missing", "is missing"),
        (lambda path: path.write_bytes(b"12"), "2 bytes instead of 3", "2 bytes"),
        (lambda path: path.write_bytes(b"124"), "", "was changed since it was built"),
    ],
)
def test_shards(tmp_path, change, cheap, whole):
    path = tmp_path / "x-train.array_record-00000-of-00001"
    path.write_bytes(b"123")
    stored = identity.shards(tmp_path)
    assert list(stored) == [path.name]
    change(path)
    found = identity.changed_shards(tmp_path, stored, whole=False)
    assert cheap in found and bool(cheap) == bool(found)
    found = identity.changed_shards(tmp_path, stored, whole=True)
    assert whole in found and bool(whole) == bool(found)
