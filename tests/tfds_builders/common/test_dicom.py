from fractions import Fraction

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels import apply_modality_lut, apply_rescale, apply_voi_lut
from pydicom.pixels import apply_windowing as window
from pydicom.uid import (
    MPEG2MPML,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    JPEGLSLossless,
    RLELossless,
)

from tfds_builders.common import dicom
from tfds_builders.common.dicom import read_dicom
from tfds_builders.common.errors import InputError


def make_header(codes, bits=12, polarity="MONOCHROME2", signed=False, **tags):
    """A CR image whose stored codes are `codes` (uint8 or uint16 [H, W])."""
    header = Dataset()
    header.SOPClassUID = "1.2.840.10008.5.1.4.1.1.1"
    header.SOPInstanceUID = "1.2.3.4"
    header.Modality = "CR"
    header.Manufacturer = "Agfa"
    header.ViewPosition = "AP"
    header.PatientSex = "F"
    header.PatientID = "P1"
    header.StudyInstanceUID = "1.2.3"
    header.SamplesPerPixel = 1
    header.PhotometricInterpretation = polarity
    header.Rows, header.Columns = codes.shape
    header.BitsAllocated = 8 * codes.itemsize
    header.BitsStored = bits
    header.HighBit = bits - 1
    header.PixelRepresentation = int(signed)
    data = codes.tobytes()
    header.PixelData = data + b"\0" * (len(data) % 2)
    header["PixelData"].VR = "OB" if codes.itemsize == 1 else "OW"
    for name, value in tags.items():
        setattr(header, name, value)
    return header


def save(path, header, syntax=ExplicitVRLittleEndian):
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = syntax
    header.save_as(path, enforce_file_format=True)
    return path


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
    assert xray._replace(pixels=None) == dicom.Xray(
        pixels=None,
        rows=3,
        columns=5,
        bits_stored=12,
        photometric_interpretation="MONOCHROME2",
        manufacturer="Agfa",
        modality="CR",
        view="AP",
        sex="F",
        patient_id="P1",
        study_id="1.2.3",
    )


def test_high_bit_above_the_stored_ones(tmp_path):
    values = np.arange(0, 4096, 8, dtype=np.uint16).reshape(16, 32)
    shifted = read(tmp_path, values << 4 | 9, HighBit=15)
    np.testing.assert_array_equal(shifted.pixels, read(tmp_path, values).pixels)


RAMP = np.arange(4096, dtype=np.uint16).reshape(64, 64)


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
    xray = read(tmp_path, RAMP, WindowCenter="100", WindowWidth="1")
    np.testing.assert_array_equal(xray.pixels, np.where(RAMP > 99.5, 65535, 0))


def lut_item(count, start, bits, data):
    item = Dataset()
    item.LUTDescriptor = [count % 65536, start, bits]
    item.LUTData = data
    item["LUTDescriptor"].VR = "US"
    item["LUTData"].VR = "US" if isinstance(data, list) else "OW"
    return item


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


def test_modality_lut_then_window(tmp_path):
    data = (np.arange(4096) ** 2 // 4096).tolist()
    header = make_header(RAMP, WindowCenter="2000", WindowWidth="1000")
    header.ModalityLUTSequence = [lut_item(4096, 0, 16, data)]
    header.ModalityLUTSequence[0].ModalityLUTType = "US"
    xray = read_dicom(save(tmp_path / "a.dcm", header))
    values = apply_modality_lut(RAMP, header).astype(float)
    expected = np.clip((values - 1999.5) / 999 + 0.5, 0, 1) * 65535
    np.testing.assert_allclose(xray.pixels, expected, atol=0.51)


def test_big_endian_and_run_length(tmp_path):
    expected = read(tmp_path, RAMP).pixels
    header = make_header(RAMP.astype(">u2"))
    path = save(tmp_path / "b.dcm", header, ExplicitVRBigEndian)
    np.testing.assert_array_equal(read_dicom(path).pixels, expected)
    path = save(tmp_path / "c.dcm", run_length(RAMP), RLELossless)
    np.testing.assert_array_equal(read_dicom(path).pixels, expected)


def run_length(codes):
    header = make_header(codes)
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.compress(RLELossless)
    return header


def fails(path, *words):
    with pytest.raises(InputError) as error:
        read_dicom(path)
    for word in [str(path), *words]:
        assert word in str(error.value)


@pytest.mark.parametrize("left", [0.05, 0.3, 0.9, 0.9999])
def test_truncated(tmp_path, left):
    path = save(tmp_path / "a.dcm", make_header(RAMP))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * left)])
    fails(path, "truncated", "Copy the file from its source again")


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89PNG\r\n\x1a\n" * 50])
def test_not_dicom(tmp_path, content):
    path = tmp_path / "a.dcm"
    path.write_bytes(content)
    fails(path, "not a DICOM file")


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


@pytest.mark.parametrize("syntax", [JPEGLSLossless, MPEG2MPML])
def test_compressed_without_decoder(tmp_path, monkeypatch, syntax):
    if syntax == JPEGLSLossless:  # readable where the extra is installed

        class Absent:
            is_available = False

        monkeypatch.setattr(pydicom.pixels, "get_decoder", lambda _: Absent)
    header = make_header(RAMP)
    header.PixelData = pydicom.encaps.encapsulate([b"\xff\xd8\xff\xd9"])
    header["PixelData"].is_undefined_length = True
    path = save(tmp_path / "a.dcm", header, syntax)
    fails(path, syntax.name, "pip install 'cxr_jax[dicom]'")


@pytest.mark.filterwarnings("ignore:End of file reached")
def test_compressed_and_damaged(tmp_path):
    path = save(tmp_path / "a.dcm", run_length(RAMP), RLELossless)
    data = path.read_bytes()
    path.write_bytes(data[:-3000])
    fails(path, "truncated")
    path.write_bytes(data[:-3000] + bytes(2992) + data[-8:])
    fails(path, "truncated or damaged")


@pytest.mark.parametrize(
    ("tags", "word"),
    [
        ({"BitsAllocated": 32}, "12 bits stored in 32 allocated"),
        ({"BitsStored": 17}, "17 bits stored in 16 allocated"),
        ({"WindowCenter": "1", "WindowWidth": "0"}, "window width 0"),
        (
            {"WindowCenter": "1", "WindowWidth": "9", "VOILUTFunction": "CUBIC"},
            "CUBIC",
        ),
        ({"RescaleSlope": "0", "RescaleIntercept": "0"}, "rescale slope 0"),
    ],
)
def test_headers_that_make_no_picture(tmp_path, tags, word):
    fails(save(tmp_path / "a.dcm", make_header(RAMP, **tags)), word)
