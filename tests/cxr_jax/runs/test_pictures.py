import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from cxr_jax.runs import lettering, pictures


def luminance(colour):
    """WCAG 2.2, relative luminance."""
    parts = [c / 255 for c in np.asarray(colour, float)]
    r, g, b = [
        p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts
    ]
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


@given(
    arrays.arrays(
        np.float32,
        st.tuples(st.integers(1, 40), st.just(3), st.just(5), st.sampled_from((1, 3))),
        elements=st.floats(-5, 5, width=32),
    ),
    st.integers(1, 9),
)
def test_each_image_is_in_its_place_stretched(images, columns):
    sheet = pictures.grid(images, columns=columns)
    shown = min(len(images), 32)
    columns = min(columns, shown)
    rows = int(np.ceil(shown / columns))
    assert sheet.dtype == np.uint8
    assert sheet.shape[:2] == (rows * 3, columns * 5)
    assert sheet.ndim == (2 if images.shape[-1] == 1 else 3)
    sheet = sheet.reshape(rows * 3, columns * 5, -1)
    for k in range(rows * columns):
        top, left = 3 * (k // columns), 5 * (k % columns)
        cell = sheet[top : top + 3, left : left + 5].astype(float)
        if k >= shown:
            assert (cell == 255).all()
            continue
        image = images[k].astype(float)
        span = image.max() - image.min()
        if span > 1e-3:
            expected = 255 * (image - image.min()) / span
            np.testing.assert_allclose(cell, expected, atol=0.51)
        elif span == 0:
            assert (cell == 0).all()


def test_the_number_of_images_is_limited():
    assert pictures.grid(np.zeros((64, 4, 4, 1))).shape == (16, 32)
    assert pictures.grid(np.zeros((3, 4, 4, 1))).shape == (4, 12)
    assert pictures.grid(np.zeros((9, 4, 4, 1)), columns=2, most=5).shape == (12, 8)


def cells(sheet, count):
    """The shades of a confusion matrix: the colour near each cell's upper left corner."""
    tinted = (sheet[..., 2].astype(int) - sheet[..., 0] > 5) & (sheet[..., 2] > 100)
    # Names are bluish too, but small.
    rows, columns = (np.flatnonzero(tinted.sum(axis=k) > 150) for k in (1, 0))
    height = np.ptp(rows) + 1
    places = [3 + k * height // count for k in range(count)]
    return sheet[rows[0] :, columns[0] :][np.ix_(places, places)]


@pytest.mark.parametrize("count", [2, 3, 8])
def test_shades_are_shares_of_the_truth(count):
    rng = np.random.default_rng(count)
    matrix = rng.integers(1, 900, (count, count))
    sheet = pictures.confusion(matrix, [f"class {k}" for k in range(count)])
    assert sheet.dtype == np.uint8
    assert max(sheet.shape[:2]) <= 440
    light = np.array([[luminance(c) for c in row] for row in cells(sheet, count)])
    shares = matrix / matrix.sum(axis=1, keepdims=True)
    # The darker the greater: the same order, whatever the row's total.
    order = np.argsort(shares.ravel(), kind="stable")
    assert (np.diff(light.ravel()[order]) <= 0.004).all()
    assert np.ptp(light) > 0.1


def test_rows_are_the_truth():
    sheet = pictures.confusion([[5, 0], [9, 1]], ["N", "P"])
    (nn, np_), (pn, pp) = (map(luminance, row) for row in cells(sheet, 2))
    assert nn < pn < pp < np_


def test_an_empty_row_is_light():
    assert (cells(pictures.confusion([[3, 1], [0, 0]], "ab"), 2)[1] >= 247).all()


@pytest.mark.parametrize("share", np.linspace(0, 1, 21))
def test_numbers_stand_out_from_their_shade(share):
    count = round(1000 * share)
    matrix = [[count, 1000 - count], [1000 - count, count]]
    sheet = pictures.confusion(matrix, ["N", "P"])
    shade = cells(sheet, 2)[0, 0]
    middle = sheet[90:160, 80:150].reshape(-1, 3)
    light = np.array([luminance(pixel) for pixel in middle]) + 0.05
    contrasts = np.maximum(light, luminance(shade) + 0.05) / np.minimum(
        light, luminance(shade) + 0.05
    )
    # 3 is what WCAG 2.2 asks of large type; black on white has 21.
    assert contrasts.max() > 4


@pytest.mark.parametrize("count", [2, 8])
def test_long_names_do_not_overlap_the_numbers(count):
    matrix = np.full((count, count), 7)
    usual = pictures.confusion(matrix, ["x" * 14] * count)
    long = pictures.confusion(matrix, ["x" * 90] * count)
    assert max(long.shape[:2]) <= 440
    np.testing.assert_array_equal(cells(usual, count), cells(long, count))


def test_a_text_is_shortened_in_its_middle():
    short = lettering.shortened("Bacterial pneumonia of the left lung", 90)
    assert short.startswith("Bact") and "..." in short and short.endswith("lung")
    assert lettering.width(short) <= 90
    assert lettering.shortened("COVID-19", 90) == "COVID-19"


@pytest.mark.parametrize("classes", [2, 8, 40, 41, 61, 200])
def test_a_confusion_matrix_of_any_number_of_classes(classes):
    names = [f"a class with a long name {i}" for i in range(classes)]
    found = pictures.confusion(np.eye(classes, dtype=int) * 1000, names)
    assert min(found.shape[:2]) >= 6 * classes
    # The diagonal is dark: its last cell too, which is whole.
    assert found[-3, -3].tolist() == list(pictures._SHADES[-1])
