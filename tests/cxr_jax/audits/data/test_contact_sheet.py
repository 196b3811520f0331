import cv2
import numpy as np
import pytest
import toys

from cxr_jax.audits.data import contact_sheet
from cxr_jax.data.copies import Link
from tfds_builders.common.errors import InputError


def pair(kind="across splits", pixels=None, names=("a", "b")):
    link = Link(0, 1, False, 0.9341, True)
    pixels = pixels or (toys.film(1), toys.film(2, (60, 120)))
    return contact_sheet.Pair(
        link, kind, pixels, tuple((n, "train, toy") for n in names)
    )


def test_a_sheet_shows_both_images_unchanged():
    drawn = contact_sheet.draw([pair()], "Copies", "all 1 pairs")
    assert drawn.dtype == np.uint8 and drawn.shape[2] == 3
    top, left = contact_sheet._HEAD + contact_sheet._CAPTION, contact_sheet._MARGIN
    cell = drawn[top : top + 128, left : left + 128]
    # 96 x 80 fills the height; 12 or 10 columns of mat on either side.
    expected = cv2.resize(toys.film(1), (107, 128), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(cell[:, 10:117, 0], expected)
    assert (cell[:, :10] == contact_sheet._MAT).all() and (
        cell[:, 117:] == contact_sheet._MAT
    ).all()
    other = drawn[top : top + 128, left + 132 : left + 260]
    expected = cv2.resize(toys.film(2, (60, 120)), (128, 64))
    np.testing.assert_array_equal(other[32:96, :, 1], expected)
    # 16 bits look the same.
    wide = tuple(p.astype(np.uint16) * 257 for p in pair().pixels)
    np.testing.assert_allclose(
        contact_sheet.draw([pair(pixels=wide)], "Copies", "all 1 pairs"),
        drawn,
        atol=1,
    )


def test_leakage_is_red_and_the_rest_is_not():
    def red(kind):
        drawn = contact_sheet.draw([pair(kind)], "", "").astype(int)
        return (drawn[..., 2] - drawn[..., 0] > 60).sum()

    assert red("across splits") > 100
    assert red("in an external test") > 100
    assert red("across datasets") == red("within a split") == 0


def test_captions_say_how_similar_the_images_are():
    link = Link(3, 9, False, 0.9341, True)
    caption = contact_sheet.caption(link, "across datasets")
    assert caption == "near-duplicate 0.934, mirrored, across datasets"
    same = Link(3, 9, True, 1.0, False)
    assert contact_sheet.caption(same, "within a split") == "identical, within a split"


def test_long_names_stay_in_their_place():
    pixels = (np.zeros((128, 128), np.uint8),) * 2
    short = contact_sheet.draw([pair(pixels=pixels)], "", "")
    long = contact_sheet.draw([pair(pixels=pixels, names=("n" * 90,) * 2)], "", "")
    between = slice(contact_sheet._MARGIN + 125, contact_sheet._MARGIN + 132)
    np.testing.assert_array_equal(short[:, between], long[:, between])
    assert (short != long).any()


def test_forty_pairs_are_ten_rows_of_four():
    one = pair()
    full, single = (contact_sheet.draw([one] * n, "", "") for n in (40, 1))
    assert full.shape[1] == single.shape[1]
    assert full.shape[0] - single.shape[0] == 9 * contact_sheet._CELL


def test_sheets_of_an_earlier_audit_are_removed(tmp_path):
    drawn = contact_sheet.draw([pair()], "", "")
    assert len(contact_sheet.write(tmp_path / "new", [drawn] * 3)) == 3
    paths = contact_sheet.write(tmp_path / "new", [drawn])
    assert [p.name for p in sorted((tmp_path / "new").iterdir())] == ["copies-1.png"]
    np.testing.assert_array_equal(cv2.imread(str(paths[0])), drawn)
    assert contact_sheet.write(tmp_path / "new", []) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        contact_sheet.write(tmp_path / "file" / "x", [drawn])
