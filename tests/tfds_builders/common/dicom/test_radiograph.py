"""What is done to a stored value: an independent source for every step."""

import warnings
from fractions import Fraction

import numpy as np
import pytest
from dicom_writer import RAMP, lut_item, make_header, save
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.pixels import apply_modality_lut, apply_rescale, apply_voi, apply_voi_lut
from pydicom.pixels import apply_windowing as window
from pydicom.sequence import Sequence
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from tfds_builders.common.dicom.radiograph import Xray, read_dicom
from tfds_builders.common.errors import InputError


def read(tmp_path, *args, **kwargs):
    return read_dicom(save(tmp_path / "a.dcm", make_header(*args, **kwargs)))


def scaled(value, low, high):
    """Full range, rounded exactly."""
    return round(Fraction(value - low) * 65535 / (high - low))


@settings(max_examples=25, deadline=None)
@given(
    bits=st.integers(8, 16),
    allocated=st.sampled_from([8, 16]),
    inverted=st.booleans(),
    signed=st.booleans(),
    seed=st.integers(0, 99),
)
def test_stored_bits_polarity_and_sign(
    tmp_path_factory, bits, allocated, inverted, signed, seed
):
    bits = min(bits, allocated)
    low = -(2 ** (bits - 1)) if signed else 0
    high = low + 2**bits - 1
    rng = np.random.default_rng(seed)
    values = rng.integers(low, high + 1, (5, 70))
    values[0, :2] = low, high
    rubbish = rng.integers(0, 2**allocated, values.shape) >> bits << bits
    codes = (values % 2**bits + rubbish).astype(f"u{allocated // 8}")
    polarity = "MONOCHROME1" if inverted else "MONOCHROME2"
    header = make_header(codes, bits, polarity, signed)
    path = save(tmp_path_factory.mktemp("dicom") / "a.dcm", header)
    xray = read_dicom(path)
    expected = [scaled(int(v), low, high) for v in values.flat]
    expected = np.array(expected).reshape(values.shape)
    expected = 65535 - expected if inverted else expected
    np.testing.assert_array_equal(xray.pixels, expected)
    assert xray.pixels.dtype == np.uint16
    assert xray.bits_stored == bits
    assert xray.photometric_interpretation == polarity


def test_range_is_the_headers_not_the_pictures(tmp_path):
    dark = np.full((4, 4), 100, np.uint16)
    assert read(tmp_path, dark).pixels[0, 0] == scaled(100, 0, 4095)


def test_header(tmp_path):
    xray = read(tmp_path, np.zeros((3, 5), np.uint16))
    assert xray._replace(pixels=None) == Xray(
        pixels=None,
        rows=3,
        columns=5,
        bits_stored=12,
        photometric_interpretation="MONOCHROME2",
        polarity_contradicted=False,
        manufacturer="Agfa",
        modality="CR",
        view="AP",
        sex="F",
        patient_id="P1",
        study_id="1.2.3",
        identifiers=(),
    )


def test_high_bit_above_the_stored_ones(tmp_path):
    values = np.arange(0, 4096, 8, dtype=np.uint16).reshape(16, 32)
    shifted = read(tmp_path, values << 4 | 9, HighBit=15)
    np.testing.assert_array_equal(shifted.pixels, read(tmp_path, values).pixels)


@pytest.mark.parametrize("slope", ["1", "0.5", "3"])
@pytest.mark.parametrize("intercept", ["0", "-1024", "17.5"])
def test_rescale_without_window_changes_nothing(tmp_path, slope, intercept):
    xray = read(tmp_path, RAMP, RescaleSlope=slope, RescaleIntercept=intercept)
    np.testing.assert_array_equal(xray.pixels, read(tmp_path, RAMP).pixels)


def test_negative_slope_inverts(tmp_path):
    xray = read(tmp_path, RAMP, RescaleSlope="-1", RescaleIntercept="4095")
    np.testing.assert_array_equal(xray.pixels, 65535 - read(tmp_path, RAMP).pixels)


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize("polarity", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize(
    "rescale", [{}, {"RescaleSlope": "2", "RescaleIntercept": "-1024"}]
)
def test_window_against_pydicom(tmp_path, function, polarity, rescale):
    tags = {"WindowCenter": "1500", "WindowWidth": "2000", "VOILUTFunction": function}
    header = make_header(RAMP, polarity=polarity, **tags, **rescale)
    xray = read_dicom(save(tmp_path / "a.dcm", header))
    # pydicom maps the window onto the range of the stored bits after rescaling.
    low, high = (float(x) for x in apply_rescale(np.array([0, 4095]), header))
    windowed = window(apply_rescale(RAMP, header), header)
    expected = np.rint((windowed - low) / (high - low) * 65535)
    expected = 65535 - expected if polarity == "MONOCHROME1" else expected
    np.testing.assert_allclose(xray.pixels, expected, atol=1)


def test_window_of_the_full_range_is_no_window(tmp_path):
    xray = read(tmp_path, RAMP, WindowCenter="2048", WindowWidth="4096")
    np.testing.assert_array_equal(xray.pixels, read(tmp_path, RAMP).pixels)


def test_first_of_several_windows_and_empty_ones(tmp_path):
    two = read(tmp_path, RAMP, WindowCenter=["800", "9"], WindowWidth=["500", "3"])
    one = read(tmp_path, RAMP, WindowCenter="800", WindowWidth="500")
    np.testing.assert_array_equal(two.pixels, one.pixels)
    none = read(tmp_path, RAMP, WindowCenter=None, WindowWidth=None)
    np.testing.assert_array_equal(none.pixels, read(tmp_path, RAMP).pixels)


def test_window_of_width_one_is_a_step(tmp_path):
    # PS3.3 C.11.2.1.2: black up to and at centre - 0.5, white above.
    few = RAMP % 14 + 93
    xray = read(tmp_path, few, WindowCenter="100", WindowWidth="1")
    np.testing.assert_array_equal(xray.pixels, np.where(few > 99.5, 65535, 0))


@pytest.mark.parametrize("as_bytes", [False, True])
def test_voi_lut_against_pydicom(tmp_path, as_bytes):
    data = (np.sqrt(np.arange(3000)) * 18).astype("<u2")
    stored = data.tobytes() if as_bytes else data.tolist()
    header = make_header(RAMP, VOILUTSequence=[lut_item(3000, 500, 10, stored)])
    # A window beside it is another view of the same image; the LUT is taken.
    header.WindowCenter, header.WindowWidth = "1", "1"
    xray = read_dicom(save(tmp_path / "a.dcm", header))
    header.VOILUTSequence = [lut_item(3000, 500, 10, data.tolist())]
    expected = apply_voi_lut(RAMP, header) * 65535.0 / 1023
    np.testing.assert_allclose(xray.pixels, expected, atol=0.51)


@settings(max_examples=30, deadline=None)
@given(
    signed=st.booleans(),
    slope=st.sampled_from([1, 2, 0.25, -1]),
    intercept=st.sampled_from([0, -1024, 7.5]),
    modality=st.booleans(),
    start=st.integers(-3000, 3000),
    count=st.integers(2, 5000),
    depth=st.sampled_from([8, 10, 12, 16]),
    function=st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID", None]),
    centre=st.integers(-3000, 3000),
    width=st.integers(2, 6000),
    implicit=st.booleans(),
)
def test_the_chain_against_pydicom(
    tmp_path_factory,
    signed,
    slope,
    intercept,
    modality,
    start,
    count,
    depth,
    function,
    centre,
    width,
    implicit,
):
    header = make_header(RAMP, signed=signed)
    entries = np.random.default_rng(count).integers(0, 2**depth, count).tolist()
    start = start if signed else abs(start)  # the first value is signed as the pixels
    if modality:
        header.ModalityLUTSequence = [lut_item(count, start, depth, entries)]
    else:
        header.RescaleSlope, header.RescaleIntercept = str(slope), str(intercept)
    if function:
        header.VOILUTFunction = function
        header.WindowCenter, header.WindowWidth = str(centre), str(width)
    path = tmp_path_factory.mktemp("dicom") / "a.dcm"
    save(path, header, ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian)
    values = RAMP.astype(np.int64)
    values = np.where(signed & (values > 2047), values - 4096, values)
    lowest = -2048 if signed else 0
    if modality:
        low, high = 0, 2**depth - 1
        if depth not in (8, 16):  # pydicom makes a dtype of the depth
            header.ModalityLUTSequence[0].LUTDescriptor = [count, start, 16]
        values = apply_modality_lut(values, header).astype(float)
    else:
        low, high = apply_rescale(np.array([lowest, lowest + 4095]), header)
        values = apply_rescale(values, header)
    if function:
        # pydicom maps the window onto the range of the values before it.
        shown, low, high = window(values, header), *pydicom_range(header, lowest)
        expected = (shown - low) / (high - low)
    else:
        low, high = sorted((low, high))
        expected = (values - low) / (high - low)
    greys = len(np.unique(np.rint(np.clip(expected, 0, 1) * 65535)))
    if greys <= 3:  # beyond all values, or a step among them
        fails(path, "shows them all as" if greys == 1 else f"as {greys} greys")
        return
    found = read_dicom(path).pixels / 65535
    np.testing.assert_allclose(found, expected, atol=1.01 / 65535)


def pydicom_range(header, lowest):
    if "ModalityLUTSequence" in header:
        return 0, 2 ** header.ModalityLUTSequence[0].LUTDescriptor[2] - 1
    return apply_rescale(np.array([lowest, lowest + 4095]), header)


@settings(max_examples=20, deadline=None)
@given(
    signed=st.booleans(),
    start=st.integers(-3000, 3000),
    count=st.integers(2, 5000),
    depth=st.integers(10, 16),
)
def test_voi_lut_of_any_place_and_depth(tmp_path_factory, signed, start, count, depth):
    start = start if signed else abs(start)
    entries = np.random.default_rng(count).integers(0, 2**depth, count).tolist()
    header = make_header(RAMP, signed=signed)
    header.VOILUTSequence = [lut_item(count, start, depth, entries)]
    path = save(tmp_path_factory.mktemp("dicom") / "a.dcm", header)
    values = np.where(signed & (RAMP > 2047), RAMP.astype(int) - 4096, RAMP)
    # pydicom counts the distance to the first entry in 16 bits without a sign.
    shown = apply_voi(np.maximum(values, start), header)
    expected = shown * 65535.0 / (2**depth - 1)
    if (greys := len(np.unique(expected))) <= 3:
        fails(path, "shows them all as" if greys == 1 else f"as {greys} greys")
    else:
        np.testing.assert_allclose(read_dicom(path).pixels, expected, atol=0.51)


@pytest.mark.parametrize("name", ["ModalityLUTSequence", "VOILUTSequence"])
def test_luts_of_bytes_in_both_byte_orders(tmp_path, name):
    entries = (np.sqrt(np.arange(4096)) * 3.98).astype(np.uint8)
    wide = entries.astype(np.uint16)
    plain = {name: [lut_item(4096, 0, 8, entries.tolist())]}
    expected = read(tmp_path, RAMP, **plain).pixels
    assert len(np.unique(expected)) > 200
    for order in ("<", ">"):
        # Entries of 8 bits, two in a word or each in a word of its own.
        words = entries.view("<u2").astype(f"{order}u2"), wide.astype(f"{order}u2")
        for data in words:
            item = lut_item(4096, 0, 8, data.tobytes())
            codes = RAMP.astype(f"{order}u2")
            header = make_header(codes, **{name: [item]})
            syntax = ExplicitVRLittleEndian if order == "<" else ExplicitVRBigEndian
            path = save(tmp_path / "b.dcm", header, syntax)
            np.testing.assert_array_equal(read_dicom(path).pixels, expected)


def test_modality_lut_then_window(tmp_path):
    data = (np.arange(4096) ** 2 // 4096).tolist()
    header = make_header(RAMP, WindowCenter="2000", WindowWidth="1000")
    header.ModalityLUTSequence = [lut_item(4096, 0, 16, data)]
    header.ModalityLUTSequence[0].ModalityLUTType = "US"
    xray = read_dicom(save(tmp_path / "a.dcm", header))
    values = apply_modality_lut(RAMP, header).astype(float)
    expected = np.clip((values - 1999.5) / 999 + 0.5, 0, 1) * 65535
    np.testing.assert_allclose(xray.pixels, expected, atol=0.51)


PADDED = RAMP.copy()
PADDED[:8], PADDED[:, :5] = 2000, 2000  # in the middle of the range


@pytest.mark.parametrize("polarity", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("obeyed", ["header", "pixels"])
@pytest.mark.parametrize(
    "tags",
    [
        {},
        {"WindowCenter": "2000", "WindowWidth": "100"},
        {"WindowCenter": "2000", "WindowWidth": "900", "VOILUTFunction": "SIGMOID"},
        {"RescaleSlope": "-2", "RescaleIntercept": "900"},
        {"VOILUTSequence": [lut_item(4096, 0, 12, list(range(4095, -1, -1)))]},
    ],
)
def test_padding_is_dark_and_nothing_else_changes(tmp_path, polarity, obeyed, tags):
    plain = read(tmp_path, PADDED, polarity=polarity, **tags).pixels
    assert plain[0, 0] > 0
    path = save(
        tmp_path / "a.dcm",
        make_header(PADDED, polarity=polarity, PixelPaddingValue=2000, **tags),
    )
    pixels = read_dicom(path, polarity=obeyed).pixels
    np.testing.assert_array_equal(pixels[PADDED == 2000], 0)
    np.testing.assert_array_equal(pixels[PADDED != 2000], plain[PADDED != 2000])


@settings(max_examples=30, deadline=None)
@given(
    signed=st.booleans(),
    ends=st.tuples(st.integers(0, 4095), st.integers(0, 4095)) | st.just((4095, 0)),
    polarity=st.sampled_from(["MONOCHROME1", "MONOCHROME2"]),
)
def test_padding_range(tmp_path_factory, signed, ends, polarity):
    values = np.where(signed & (RAMP > 2047), RAMP.astype(int) - 4096, RAMP)
    ends = [value - 2048 * signed for value in ends]
    header = make_header(RAMP, signed=signed, polarity=polarity)
    path = save(tmp_path_factory.mktemp("dicom") / "a.dcm", header)
    expected = read_dicom(path).pixels
    for name, value in zip(PADDING, ends, strict=True):
        header.add_new(name, "SS" if signed else "US", value)
    save(path, header)
    inside = (values >= min(ends)) & (values <= max(ends))
    if inside.all():
        fails(path, "every pixel value is padding")
    else:
        np.testing.assert_array_equal(
            read_dicom(path).pixels, np.where(inside, 0, expected)
        )


PADDING = "PixelPaddingValue", "PixelPaddingRangeLimit"


def test_padding_of_signed_pixels_written_as_unsigned(tmp_path):
    codes = RAMP.copy()
    codes[:4] = 0x830  # -2000 in twelve bits
    header = make_header(codes, signed=True)
    header.add_new("PixelPaddingValue", "US", 65536 - 2000)
    pixels = read_dicom(save(tmp_path / "a.dcm", header)).pixels
    np.testing.assert_array_equal(pixels == 0, (codes == 0x830) | (codes == 0x800))


def test_padding_outside_the_stored_bits_is_that_of_whole_cells(tmp_path):
    codes = RAMP.copy()
    codes[:4] = 65535
    pixels = read(tmp_path, codes, PixelPaddingValue=65535).pixels
    np.testing.assert_array_equal(pixels == 0, codes == 65535)
    assert pixels[-1, -1] == 65535  # 4095 is no padding


def test_padding_under_an_overlay(tmp_path):
    pixels = read(tmp_path, PADDED | 0x9000, PixelPaddingValue=2000).pixels
    np.testing.assert_array_equal(pixels == 0, (PADDED == 2000) | (PADDED == 0))


def fails(path, *words):
    with pytest.raises(InputError) as error:
        read_dicom(path)
    for word in [str(path), *words]:
        assert word in str(error.value)


def test_no_pixels(tmp_path):
    header = make_header(RAMP, Modality="SR")
    del header.PixelData
    fails(save(tmp_path / "a.dcm", header), "no pixel data", "SR")


def test_header_that_lacks_what_is_needed(tmp_path):
    header = make_header(RAMP)
    del header.BitsStored
    fails(save(tmp_path / "a.dcm", header), "lacks BitsStored")


def test_colour(tmp_path):
    rgb = make_header(np.zeros((4, 12), np.uint8), 8, "RGB")
    rgb.SamplesPerPixel, rgb.Columns, rgb.PlanarConfiguration = 3, 4, 0
    fails(save(tmp_path / "a.dcm", rgb), "3 samples per pixel", "RGB")
    palette = make_header(RAMP, 12, "PALETTE COLOR")
    fails(save(tmp_path / "b.dcm", palette), "PALETTE COLOR")


def test_multi_frame(tmp_path):
    header = make_header(np.zeros((8, 4), np.uint16), NumberOfFrames=2, Rows=4)
    fails(save(tmp_path / "a.dcm", header), "2 frames")


@pytest.mark.parametrize(
    ("tags", "word"),
    [
        ({"BitsAllocated": 32}, "12 bits stored up to bit 11 in 32 allocated"),
        ({"BitsStored": 17}, "17 bits stored up to bit 11 in 16 allocated"),
        ({"WindowCenter": "1", "WindowWidth": "0"}, "window width 0"),
        (
            {"WindowCenter": "1", "WindowWidth": "9", "VOILUTFunction": "CUBIC"},
            "CUBIC",
        ),
        ({"HighBit": 7}, "12 bits stored up to bit 7 in 16 allocated"),
        ({"HighBit": 16}, "12 bits stored up to bit 16 in 16 allocated"),
        ({"Rows": 0}, "0 x 64 pixels"),
        ({"VOILUTSequence": [lut_item(9, 0, 12, [1, 2])]}, "2 entries of 12 bits"),
        ({"RescaleSlope": "0", "RescaleIntercept": "0"}, "rescale slope 0"),
    ],
)
def test_headers_that_make_no_picture(tmp_path, tags, word):
    fails(save(tmp_path / "a.dcm", make_header(RAMP, **tags)), word)


def put(name, *values, vr=None):
    """Tags with values as they are, whatever DICOM says about them."""

    def change(header):
        element = DataElement(tag_for_keyword(name), vr or dictionary_VR(name), None)
        element._value = values[0] if len(values) == 1 else list(values)
        header[element.tag] = element
        return header

    return change


def written(tmp_path, *changes, codes=RAMP, **tags):
    header = make_header(codes, **tags)
    for change in changes:
        change(header)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return save(tmp_path / "a.dcm", header)


FUNCTIONS = ["LINEAR", "LINEAR_EXACT", "SIGMOID"]


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize(
    ("centre", "width", "words"),
    [
        ("nan", "nan", "WindowCenter is nan"),
        ("nan", "400", "WindowCenter is nan"),
        ("2000", "NaN", "WindowWidth is NaN"),
        ("inf", "400", "WindowCenter is inf"),
        ("2000", "-Infinity", "WindowWidth is -Infinity"),
        ("abc", "400", "WindowCenter is text"),
        ("2000,5", "400", "WindowCenter is 2000,5"),
        ("2000", "0", "window width 0"),
        ("2000", "-5", "window width -5"),
        ("-1e6", "10", "shows them all as 65535"),
        ("1e6", "10", "shows them all as 0"),
        ("1e99", "1e-99", "window"),
    ],
)
def test_windows_without_a_picture(tmp_path, function, centre, width, words):
    window = put("WindowCenter", centre), put("WindowWidth", width)
    path = written(tmp_path, *window, VOILUTFunction=function)
    fails(path, words)
    with pytest.raises(InputError) as error:
        read_dicom(path)
    assert "damaged" not in str(error.value)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_two_centres_and_one_width(tmp_path, function):
    window = put("WindowCenter", "1000", "2000"), put("WindowWidth", "500")
    found = read_dicom(written(tmp_path, *window, VOILUTFunction=function)).pixels
    tags = {"WindowCenter": "1000", "WindowWidth": "500", "VOILUTFunction": function}
    np.testing.assert_array_equal(found, read(tmp_path, RAMP, **tags).pixels)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (put("RescaleSlope", "1", "2"), "RescaleSlope has 2 values where one belongs"),
        (put("RescaleSlope", "abc"), "RescaleSlope is text"),
        (put("RescaleSlope", "nan"), "RescaleSlope is nan"),
        (put("RescaleIntercept", "inf"), "RescaleIntercept is inf"),
        (put("RescaleIntercept", "1e300"), "rescale slope 1 and intercept 1e+300"),
        (put("RescaleIntercept", "1e17"), "rescale slope 1 and intercept 1e+17"),
        (put("RescaleSlope", "1e308"), "rescale slope 1e+308"),
        (put("Rows", "A^B", vr="LO"), "Rows is text"),
        (put("Rows", 64, 63), "Rows has 2 values"),
        (put("BitsStored", 12, 10), "BitsStored has 2 values"),
        (put("SamplesPerPixel", "abc", vr="LO"), "SamplesPerPixel is text"),
        (put("SamplesPerPixel", "1.5", vr="LO"), "SamplesPerPixel is 1.5, not a whole"),
        (put("NumberOfFrames", "abc"), "NumberOfFrames is text"),
        (put("NumberOfFrames", "-1"), "-1 frames"),
        (put("PixelRepresentation", 2), "PixelRepresentation is 2, not 0 or 1"),
        (put("PixelPaddingValue", "abc", vr="LO"), "PixelPaddingValue is text"),
        (put("PixelPaddingValue", 5000, 6000), "PixelPaddingValue has 2 values"),
        (put("PixelData", b""), "its pixel data are empty"),
        (put("VOILUTFunction", "two words!"), "VOI LUT function unknown"),
    ],
)
def test_attribute_at_fault_is_named(tmp_path, change, words):
    window = {"WindowCenter": "2000", "WindowWidth": "900"}
    with pytest.raises(InputError) as error:
        read_dicom(written(tmp_path, change, **window))
    assert words in str(error.value)
    assert "damaged" not in str(error.value)
    assert "A^B" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [("RescaleSlope", "2"), ("Rows", 64), ("BitsStored", 12), ("PixelPaddingValue", 9)],
)
def test_value_that_is_repeated_is_one(tmp_path, name, value):
    once = read_dicom(written(tmp_path, put(name, value))).pixels
    twice = read_dicom(written(tmp_path, put(name, value, value))).pixels
    np.testing.assert_array_equal(twice, once)


@pytest.mark.parametrize("name", ["ModalityLUTSequence", "VOILUTSequence"])
@pytest.mark.parametrize(
    ("item", "words"),
    [
        (
            lut_item(4096, 0, 8, list(range(4096))),
            "entries up to 4095, more than the 8",
        ),
        (lut_item(4096, 0, 16, list(range(4000))), "4000 entries of 16 bits"),
        (lut_item(256, 0, 12, list(range(4096))), "4096 entries of 12 bits"),
        (lut_item(4096, 0, 0, list(range(4096))), "entries of 0 bits"),
        (lut_item(4096, 0, 17, list(range(4096))), "entries of 17 bits"),
        (lut_item(1, 0, 12, [7, 0]), "shows them all as"),
        (lut_item(4096, 0, 12, [5] * 4096), "shows them all as"),
    ],
)
def test_tables_that_contradict_themselves(tmp_path, name, item, words):
    fails(written(tmp_path, put(name, Sequence([item]))), words)


@pytest.mark.parametrize("name", ["ModalityLUTSequence", "VOILUTSequence"])
def test_tables_that_lack_a_part(tmp_path, name):
    for lost in ("LUTDescriptor", "LUTData"):
        item = lut_item(4096, 0, 12, list(range(4096)))
        del item[lost]
        fails(written(tmp_path, put(name, Sequence([item]))), f"{name} lacks {lost}")
    item = lut_item(4096, 0, 12, list(range(4096)))
    item.LUTDescriptor = [4096, 0]
    fails(
        written(tmp_path, put(name, Sequence([item]))),
        "LUTDescriptor has 2 numbers instead of 3",
    )


@pytest.mark.parametrize("start", [0, 300, -300])
def test_first_value_of_a_table_with_the_wrong_sign(tmp_path, start):
    """US and SS are the same 16 bits; the reading that meets the values is right."""
    entries = list(range(4096))
    right = read(tmp_path, RAMP, VOILUTSequence=[lut_item(4096, start, 12, entries)])
    item = lut_item(4096, start, 12, entries)
    item.LUTDescriptor = [4096, start % 65536, 12]
    item["LUTDescriptor"].VR = "US"
    wrong = read(tmp_path, RAMP, VOILUTSequence=[item])
    np.testing.assert_array_equal(wrong.pixels, right.pixels)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("excess", [1, 2])
def test_values_beyond_the_stored_bits_are_never_wrapped(tmp_path, signed, excess):
    """A picture of 13 or 14 bits under a header of 12."""
    full = 4096 << excess
    values = np.linspace(0, full - 1, 128 * 128).astype(int).reshape(128, 128)
    codes = ((values - signed * full // 2) % 65536).astype(np.uint16)
    fails(
        written(tmp_path, codes=codes, signed=signed),
        "the header says 12 bits up to bit 11",
        "values up to",
    )
    header = make_header(codes, bits=12 + excess, signed=signed)
    pixels = read_dicom(save(tmp_path / "b.dcm", header)).pixels
    assert (np.diff(pixels.ravel().astype(int)) >= 0).all()


def test_sign_above_the_stored_bits(tmp_path):
    """Signed values may fill the whole cell: that is how they are the same number."""
    values = RAMP.astype(np.int16) - 2048
    whole = read_dicom(written(tmp_path, codes=values.view(np.uint16), signed=True))
    assert whole.notes == ()
    masked = (values & 0xFFF).astype(np.uint16)
    masked = read_dicom(written(tmp_path, codes=masked, signed=True))
    np.testing.assert_array_equal(whole.pixels, masked.pixels)


def test_overlay_in_the_cells_is_counted_unless_the_header_has_it(tmp_path):
    codes = RAMP | (np.uint16(0x9000) * (RAMP % 7 == 0))
    expected = read(tmp_path, RAMP).pixels

    def overlays(header):
        for group, position in ((0x6000, 15), (0x6002, 12)):
            header.add_new((group, 0x0100), "US", 16)
            header.add_new((group, 0x0102), "US", position)

    for changes, notes in (((), ("dicom_bits_left_out",)), ((overlays,), ())):
        xray = read_dicom(written(tmp_path, *changes, codes=codes))
        np.testing.assert_array_equal(xray.pixels, expected)
        assert xray.notes == notes


@pytest.mark.parametrize("change", [{"Rows": 57}, {"Columns": 57}])
def test_header_of_a_smaller_picture_than_the_pixels(tmp_path, change):
    fails(written(tmp_path, **change), "bytes of pixel data, but the header says")


def test_picture_of_one_byte(tmp_path):
    xray = read(tmp_path, np.array([[128]], np.uint8), 8)
    assert xray.pixels.tolist() == [[128 * 257]]


def test_polarity_that_does_not_exist(tmp_path):
    path = save(tmp_path / "a.dcm", make_header(RAMP))
    with pytest.raises(InputError, match="header or pixels"):
        read_dicom(path, polarity="guess")


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize("width", [1e12, 1.0])
def test_a_window_that_leaves_no_picture(tmp_path, function, width):
    """So wide that all is one grey, or so narrow that all is black or white."""
    if function != "LINEAR" and width == 1.0:
        width = 1e-9
    codes = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    header = make_header(codes, WindowCenter=2000, WindowWidth=400)
    header.VOILUTFunction = function
    assert len(np.unique(read_dicom(save(tmp_path / "a.dcm", header)).pixels)) > 300
    header.WindowWidth = width
    with pytest.raises(InputError, match=r"4,096 different values.* as [23] greys"):
        read_dicom(save(tmp_path / "b.dcm", header))


def test_two_values_may_be_two_greys(tmp_path):
    codes = np.zeros((64, 64), np.uint16)
    codes[20:] = 3000
    header = make_header(codes, WindowCenter=2000, WindowWidth=1)
    pixels = read_dicom(save(tmp_path / "a.dcm", header)).pixels
    assert np.unique(pixels).tolist() == [0, 65535]


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("signed", [False, True])
def test_values_that_wrap_at_the_sign_are_counted(tmp_path, bits, signed):
    y, x = np.mgrid[:96, :96]
    smooth = (np.sin(x / 17) + np.cos(y / 13)) / 2 * 0.9  # -0.9 to 0.9
    values = np.rint(smooth * 2 ** (bits - 1)).astype(np.int64)
    values += 0 if signed else 2 ** (bits - 1)
    kind = np.uint8 if bits == 8 else np.uint16
    codes = (values & (2**bits - 1)).astype(kind)
    for header_says in (False, True):
        header = make_header(codes, bits, signed=header_says)
        notes = read_dicom(save(tmp_path / "a.dcm", header)).notes
        assert ("dicom_sign_doubtful" in notes) == (header_says != signed)


def test_black_beside_white_is_no_doubtful_sign(tmp_path):
    codes = np.full((64, 64), 4095, np.uint16)
    codes[:, ::2] = 0
    notes = read_dicom(save(tmp_path / "a.dcm", make_header(codes))).notes
    assert "dicom_sign_doubtful" not in notes


@pytest.mark.parametrize("name", ["FloatPixelData", "DoubleFloatPixelData"])
def test_pixels_in_another_attribute_are_named(tmp_path, name):
    header = make_header(np.zeros((8, 8), np.uint16))
    del header.PixelData
    setattr(header, name, bytes(512))
    with pytest.raises(InputError, match=f"its pixels are in {name}"):
        read_dicom(save(tmp_path / "a.dcm", header))
