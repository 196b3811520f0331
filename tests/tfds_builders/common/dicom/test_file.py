"""Files that are no DICOM, lost their header, or are cut: read rightly or refused."""

import zlib

import numpy as np
import pydicom
import pytest
from dicom_writer import RAMP, data_set, make_header, save, save_frame
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.pixels import get_decoder
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
)

from tfds_builders.common.dicom.radiograph import read_dicom
from tfds_builders.common.errors import InputError

SYNTAXES = [
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
]
PLAIN = SYNTAXES[:3]
EXPECTED = np.rint(RAMP * 65535.0 / 4095).astype(np.uint16)


def header_of(syntax, codes=RAMP, **tags):
    codes = codes if syntax.is_little_endian else codes.astype(">u2")
    return make_header(codes, **tags)


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_uncompressed(tmp_path, syntax):
    path = save(tmp_path / "a.dcm", header_of(syntax), syntax)
    np.testing.assert_array_equal(read_dicom(path).pixels, EXPECTED)


@pytest.mark.parametrize("columns", [6, 7])
@pytest.mark.parametrize("vr", ["OB", "OW"])
def test_eight_bits_in_big_endian_words(tmp_path, vr, columns):
    codes = np.random.default_rng(0).integers(0, 256, (5, columns)).astype(np.uint8)
    header = make_header(codes, 8)
    header["PixelData"].VR = vr
    if vr == "OW":
        header.PixelData = np.frombuffer(header.PixelData, "<u2").byteswap().tobytes()
    path = save(tmp_path / "a.dcm", header, ExplicitVRBigEndian)
    decoder = get_decoder(ExplicitVRBigEndian)
    theirs, _ = decoder.as_array(pydicom.dcmread(path))
    np.testing.assert_array_equal(theirs, codes)
    np.testing.assert_array_equal(read_dicom(path).pixels, codes * np.uint16(257))


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("prefix", [b"", b"DICM"])
def test_no_preamble(tmp_path, syntax, prefix):
    path = save(tmp_path / "a.dcm", header_of(syntax), syntax)
    path.write_bytes(prefix + path.read_bytes()[132:])
    np.testing.assert_array_equal(read_dicom(path).pixels, EXPECTED)


@pytest.mark.parametrize("syntax", PLAIN)
@pytest.mark.parametrize("start", [b"", b"DICM", bytes(128) + b"DICM"])
def test_no_file_meta_information(tmp_path, syntax, start):
    path = tmp_path / "a.dcm"
    path.write_bytes(start + data_set(header_of(syntax), syntax))
    xray = read_dicom(path)
    np.testing.assert_array_equal(xray.pixels, EXPECTED)
    assert (xray.manufacturer, xray.patient_id) == ("Agfa", "P1")


@pytest.mark.parametrize("syntax", PLAIN)
@pytest.mark.parametrize("preamble", [True, False])
def test_no_transfer_syntax_in_the_meta_information(tmp_path, syntax, preamble):
    path = save(tmp_path / "a.dcm", header_of(syntax), syntax)
    data = path.read_bytes()
    at = data.index(b"\x02\0\x10\0UI")
    length = 8 + int.from_bytes(data[at + 6 : at + 8], "little")
    data = data[:at] + data[at + length :]
    path.write_bytes(data if preamble else data[132:])
    np.testing.assert_array_equal(read_dicom(path).pixels, EXPECTED)


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 9999),
    syntax=st.sampled_from(PLAIN),
    name=st.text("ABCDEFG^ ", max_size=12),
    bits=st.integers(8, 16),
)
def test_encoding_is_never_mistaken(tmp_path_factory, seed, syntax, name, bits):
    rng = np.random.default_rng(seed)
    shape = rng.integers(1, 40, 2)
    codes = rng.integers(0, 2**bits, shape).astype(np.uint16)
    item = pydicom.Dataset()
    item.PatientID = name
    header = header_of(syntax, codes, bits=bits, PatientName=name)
    header.OtherPatientIDsSequence = [item, item]
    path = tmp_path_factory.mktemp("dicom") / "a.dcm"
    path.write_bytes(data_set(header, syntax))
    expected = np.rint(codes * 65535.0 / (2**bits - 1)).astype(np.uint16)
    np.testing.assert_array_equal(read_dicom(path).pixels, expected)


def test_compressed_without_transfer_syntax(tmp_path):
    imagecodecs = pytest.importorskip("imagecodecs", reason="pip install '.[dicom]'")
    codes = RAMP[::2, ::2].copy()
    expected = np.rint(codes * 65535.0 / 4095).astype(np.uint16)
    run_length = pydicom.dcmread(save(tmp_path / "r.dcm", make_header(codes)))
    run_length.compress(pydicom.uid.RLELossless, encoding_plugin="pydicom")
    run_length = pydicom.encaps.get_frame(run_length.PixelData, 0, number_of_frames=1)
    for frame in (
        run_length,
        imagecodecs.jpeg8_encode(codes, lossless=True, bitspersample=12),
        imagecodecs.jpegls_encode(codes),
        imagecodecs.jpeg2k_encode(codes, codecformat="j2k", reversible=True),
    ):
        path = save_frame(
            tmp_path / "a.dcm", make_header(codes), frame, JPEGBaseline8Bit
        )
        data = path.read_bytes()
        path.write_bytes(data[data.index(b"\x08\0\x16\0UI") :])
        np.testing.assert_array_equal(read_dicom(path).pixels, expected)


def fails(path, *words):
    with pytest.raises(InputError) as error:
        read_dicom(path)
    for word in [str(path), *words]:
        assert word in str(error.value)


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89PNG\r\n\x1a\n" * 50])
def test_not_dicom(tmp_path, content):
    path = tmp_path / "a.dcm"
    path.write_bytes(content)
    fails(path, "not a DICOM file", "empty" if not content else repr(content[:5])[:-1])


def test_undecidable(tmp_path):
    path = tmp_path / "a.dcm"
    for syntax in PLAIN:
        whole = data_set(header_of(syntax), syntax)
        for share in (0.01, 0.5, 0.99):
            path.write_bytes(whole[: int(share * len(whole))])
            fails(path, "no transfer syntax", "dcmconv +F")
    deflated = zlib.compress(data_set(header_of(ExplicitVRLittleEndian)))[2:-4]
    path.write_bytes(bytes(128) + b"DICM" + deflated)
    fails(path, "no transfer syntax", "deflated")


def test_no_such_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_dicom(tmp_path / "a.dcm")


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_cut_anywhere(tmp_path, syntax):
    noise = np.random.default_rng(0).integers(0, 4096, (64, 64)).astype(np.uint16)
    path = save(tmp_path / "a.dcm", header_of(syntax, noise), syntax)
    read_dicom(path)
    data = path.read_bytes()
    for at in [*range(0, 900, 13), *np.linspace(900, len(data) - 1, 40, dtype=int)]:
        path.write_bytes(data[:at])
        fails(path)


@pytest.mark.filterwarnings("ignore:End of file reached")
def test_compressed_and_cut_anywhere(tmp_path):
    header = pydicom.dcmread(save(tmp_path / "a.dcm", make_header(RAMP)))
    header.compress(pydicom.uid.RLELossless, encoding_plugin="pydicom")
    header.save_as(path := tmp_path / "b.dcm")
    np.testing.assert_array_equal(read_dicom(path).pixels, EXPECTED)
    data = path.read_bytes()
    end = len(data) - 4  # the length of the last delimiter, which is always 0
    for at in [*range(0, 900, 29), *np.linspace(900, end - 1, 40, dtype=int)]:
        path.write_bytes(data[:at])
        fails(path)


def test_bytes_changed_anywhere(tmp_path):
    # Whatever a broken header says, the answer is a picture or an InputError.
    path = save(tmp_path / "a.dcm", make_header(RAMP[:8, :8].copy(), PatientName="A^B"))
    data = path.read_bytes()
    rng = np.random.default_rng(1)
    for _ in range(300):
        broken = bytearray(data)
        for at in rng.integers(0, len(data), rng.integers(1, 4)):
            broken[at] = rng.integers(256)
        path.write_bytes(bytes(broken))
        try:
            xray = read_dicom(path)
            assert xray.pixels.shape == (xray.rows, xray.columns)
        except InputError as error:
            assert "A^B" not in str(error)


def test_pixel_data_of_another_size(tmp_path):
    header = make_header(RAMP)
    header.PixelData += bytes(100)  # some writers pad
    path = save(tmp_path / "a.dcm", header)
    np.testing.assert_array_equal(read_dicom(path).pixels, EXPECTED)
    header.PixelData = make_header(RAMP).PixelData * 2
    fails(save(path, header), "16384 bytes", "8192")
    header.PixelData = make_header(RAMP).PixelData[:-2]
    fails(save(path, header), "truncated: 8190 of 8192 bytes")


def test_native_pixels_under_the_name_of_a_compressed_syntax(tmp_path):
    path = save(tmp_path / "a.dcm", make_header(RAMP))
    name = JPEGBaseline8Bit.encode()
    there = b"\x02\0\x10\0UI\x14\0" + PLAIN[1].encode() + b"\0"
    data = path.read_bytes()
    assert there in data
    path.write_bytes(data.replace(there, b"\x02\0\x10\0UI\x16\0" + name))
    fails(path, "JPEG Baseline", "not encapsulated")
