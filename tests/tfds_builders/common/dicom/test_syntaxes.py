"""Every transfer syntax: the pixels that were encoded, or an error; never half."""

import io
import struct
import warnings

import numpy as np
import pydicom
import pytest
from dicom_writer import RAMP, make_header, save, save_frame
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom import uid

from tfds_builders.common.dicom import codestream
from tfds_builders.common.dicom.radiograph import read_dicom
from tfds_builders.common.errors import InputError

imagecodecs = pytest.importorskip("imagecodecs", reason="pip install '.[dicom]'")

SHAPE = 41, 57


def picture(bits, signed=False, shape=SHAPE):
    """Values [H, W] that look like a film, both ends among them."""
    rng = np.random.default_rng(bits)
    y, x = np.mgrid[: shape[0], : shape[1]]
    low = -(2 ** (bits - 1)) if signed else 0
    smooth = (np.sin(x / 9) + np.cos(y / 7) + 2) / 4 * 0.8 + 0.1
    values = smooth * (2**bits - 1) + rng.normal(0, 2**bits / 200, shape)
    values[0, :2] = 0, 2**bits - 1
    return np.clip(np.rint(values), 0, 2**bits - 1).astype(int) + low


def cells(values, bits):
    """Two's complement in the lowest bits of a pixel cell."""
    return (values % 2**bits).astype(np.uint8 if bits <= 8 else np.uint16)


def expected(values, bits, signed):
    low = -(2 ** (bits - 1)) if signed else 0
    return np.rint((values - low) * 65535.0 / (2**bits - 1)).astype(np.uint16)


def gdcm_encode(tmp_path, header, syntax):
    """The frame as an encoder writes it that shares no code with the decoder."""
    gdcm = pytest.importorskip("gdcm", reason="pip install '.[dev]'")
    source, target = tmp_path / "plain.dcm", tmp_path / "gdcm.dcm"
    save(source, header)
    reader = gdcm.ImageReader()
    reader.SetFileName(str(source))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(
        gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(str(syntax)))
    )
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(target))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    assert pydicom.dcmread(target).file_meta.TransferSyntaxUID == syntax
    return target


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize(
    "syntax",
    [
        uid.JPEGLossless,
        uid.JPEGLosslessSV1,
        uid.JPEGLSLossless,
        uid.JPEG2000Lossless,
        uid.RLELossless,
    ],
)
def test_lossless_by_gdcm(tmp_path, syntax, bits, signed):
    values = picture(bits, signed, (40, 56))  # an odd size aborts gdcm's encoder
    header = make_header(cells(values, bits), bits, signed=signed)
    path = gdcm_encode(tmp_path, header, syntax)
    np.testing.assert_array_equal(
        read_dicom(path).pixels, expected(values, bits, signed)
    )


def lossless(predictor):
    return lambda codes, bits: imagecodecs.jpeg8_encode(
        codes, lossless=True, predictor=predictor, bitspersample=bits
    )


def jpeg2000(codes, bits):
    return imagecodecs.jpeg2k_encode(
        codes, reversible=True, codecformat="j2k", bitspersample=bits
    )


def jp2(codes, bits):
    return imagecodecs.jpeg2k_encode(
        codes, reversible=True, codecformat="jp2", bitspersample=bits
    )


LOSSLESS = {
    **{f"predictor {n}": (uid.JPEGLossless, lossless(n)) for n in range(1, 8)},
    "JPEG-LS of whole cells": (
        uid.JPEGLSLossless,
        lambda codes, _: imagecodecs.jpegls_encode(codes),
    ),
    "JPEG 2000": (uid.JPEG2000Lossless, jpeg2000),
    "a JPEG 2000 file": (uid.JPEG2000Lossless, jp2),
    "HTJ2K": (
        uid.HTJ2KLossless,
        lambda codes, _: imagecodecs.htj2k_encode(codes, reversible=True),
    ),
}


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("kind", LOSSLESS)
def test_lossless_by_imagecodecs(tmp_path, kind, bits, signed):
    syntax, encode = LOSSLESS[kind]
    values = picture(bits, signed)
    codes = cells(values, bits)
    header = make_header(codes, bits, signed=signed)
    path = save_frame(tmp_path / "a.dcm", header, encode(codes, bits), syntax)
    np.testing.assert_array_equal(
        read_dicom(path).pixels, expected(values, bits, signed)
    )


def test_tiles(tmp_path):
    values, file = picture(8), io.BytesIO()
    # Pillow writes tiles of 8 bits only: those of 16 no library reads back.
    Image.fromarray(cells(values, 8)).save(
        file, "JPEG2000", tile_size=(32, 32), offset=(5, 3), no_jp2=True
    )
    header = make_header(cells(values, 8), 8)
    path = save_frame(tmp_path / "a.dcm", header, file.getvalue(), uid.JPEG2000Lossless)
    np.testing.assert_array_equal(read_dicom(path).pixels, expected(values, 8, False))


@pytest.mark.parametrize("stored", [12, 16])
@pytest.mark.parametrize("bits", [8, 12])
def test_codestream_of_signed_samples(tmp_path, bits, stored):
    # The sign is in the codestream, so fewer bits than stored are no riddle.
    stored = max(bits, stored)
    values = picture(bits, signed=True)
    frame = jpeg2000(values.astype(np.int8 if bits == 8 else np.int16), bits)
    header = make_header(np.zeros(SHAPE, np.uint16), stored, signed=True)
    path = save_frame(tmp_path / "a.dcm", header, frame, uid.JPEG2000Lossless)
    np.testing.assert_array_equal(
        read_dicom(path).pixels, expected(values, stored, True)
    )


def baseline(codes, bits):
    return imagecodecs.jpeg8_encode(codes, level=100, bitspersample=bits)


LOSSY = {
    "JPEG baseline": (uid.JPEGBaseline8Bit, 8, baseline, 2),
    "JPEG extended, 8 bits": (uid.JPEGExtended12Bit, 8, baseline, 2),
    "JPEG extended, 12 bits": (uid.JPEGExtended12Bit, 12, baseline, 3),
    "JPEG-LS near-lossless, 8 bits": (
        uid.JPEGLSNearLossless,
        8,
        lambda codes, _: imagecodecs.jpegls_encode(codes, level=3),
        3,
    ),
    "JPEG-LS near-lossless, 16 bits": (
        uid.JPEGLSNearLossless,
        16,
        lambda codes, _: imagecodecs.jpegls_encode(codes, level=5),
        5,
    ),
    "JPEG 2000, 12 bits": (
        uid.JPEG2000,
        12,
        lambda codes, bits: imagecodecs.jpeg2k_encode(
            codes, level=70, reversible=False, codecformat="j2k", bitspersample=bits
        ),
        8,
    ),
    "HTJ2K, 12 bits": (
        uid.HTJ2K,
        16,
        lambda codes, _: imagecodecs.htj2k_encode(codes, level=0.0001),
        40,
    ),
}


@pytest.mark.parametrize("kind", LOSSY)
def test_lossy_is_near(tmp_path, kind):
    syntax, bits, encode, tolerance = LOSSY[kind]
    values = picture(bits)
    codes = cells(values, bits)
    header = make_header(codes, bits)
    path = save_frame(tmp_path / "a.dcm", header, encode(codes, bits), syntax)
    found = read_dicom(path).pixels / 65535 * (2**bits - 1)
    assert 0 < np.abs(found - values).max() <= tolerance + 0.5


@pytest.mark.parametrize(
    ("syntax", "encode", "plugin"),
    [
        (uid.JPEGBaseline8Bit, baseline, "gdcm"),
        (uid.JPEGLossless, lossless(4), "gdcm"),
        (uid.JPEGLSLossless, lambda a, _: imagecodecs.jpegls_encode(a), "gdcm"),
        (uid.JPEG2000Lossless, jpeg2000, "gdcm"),
        (uid.RLELossless, None, "pydicom"),
    ],
)
def test_against_a_plugin_of_pydicom(tmp_path, syntax, encode, plugin):
    decoder = pydicom.pixels.get_decoder(syntax)
    if plugin not in decoder.available_plugins:
        pytest.skip(f"pydicom's plugin {plugin} is not installed")
    codes = cells(picture(8), 8)
    header = make_header(codes, 8)
    if encode:
        path = save_frame(tmp_path / "a.dcm", header, encode(codes, 8), syntax)
    else:
        path = save_run_length(tmp_path / "a.dcm", header)
    theirs, _ = decoder.as_array(pydicom.dcmread(path), decoding_plugin=plugin)
    np.testing.assert_array_equal(read_dicom(path).pixels, theirs * np.uint16(257))


def save_run_length(path, header):
    save(path, header)
    header = pydicom.dcmread(path)
    header.compress(uid.RLELossless, encoding_plugin="pydicom")
    header.save_as(path)
    return path


def test_fragments_and_odd_lengths(tmp_path):
    for columns in range(50, 54):
        codes = cells(picture(12, shape=(40, columns)), 12)
        frame = lossless(1)(codes, 12)
        plain = read_dicom(save(tmp_path / "a.dcm", make_header(codes))).pixels
        for fragments in (1, 3):
            header = make_header(codes)
            path = save_frame(
                tmp_path / "b.dcm", header, frame, uid.JPEGLosslessSV1, fragments
            )
            np.testing.assert_array_equal(read_dicom(path).pixels, plain)


def test_overlay_in_the_high_bits_of_whole_cells(tmp_path):
    values = picture(12)
    codes = cells(values, 12)
    rubbish = np.uint16(0x9000) * (np.arange(SHAPE[1], dtype=np.uint16) > 30)
    for syntax, frame in (
        (uid.JPEGLossless, lossless(1)(codes | rubbish, 16)),
        (uid.JPEGLSLossless, imagecodecs.jpegls_encode(codes | rubbish)),
        (uid.JPEG2000Lossless, jpeg2000(codes | rubbish, 16)),
    ):
        path = save_frame(tmp_path / "a.dcm", make_header(codes), frame, syntax)
        np.testing.assert_array_equal(
            read_dicom(path).pixels, expected(values, 12, False)
        )
    for cell, high in ((codes | rubbish, 11), (codes << 4 | 9, 15)):
        header = make_header(cell, HighBit=high)
        path = save_run_length(tmp_path / "a.dcm", header)
        np.testing.assert_array_equal(
            read_dicom(path).pixels, expected(values, 12, False)
        )


@pytest.mark.parametrize("kind", ["JPEG 2000", "predictor 1", "JPEG-LS of whole cells"])
@pytest.mark.parametrize(
    "syntax", [uid.JPEGBaseline8Bit, uid.ExplicitVRLittleEndian, uid.RLELossless]
)
def test_codestream_of_another_syntax_than_the_header_says(tmp_path, kind, syntax):
    codes = cells(picture(12), 12)
    frame = LOSSLESS[kind][1](codes, 12)
    path = save_frame(tmp_path / "a.dcm", make_header(codes), frame, uid.JPEGLossless)
    name = syntax.encode().ljust(len(uid.JPEGLossless), b"\0")
    path.write_bytes(path.read_bytes().replace(uid.JPEGLossless.encode(), name))
    np.testing.assert_array_equal(
        read_dicom(path).pixels, expected(picture(12), 12, False)
    )


def fails(path, *words):
    with pytest.raises(InputError) as error:
        read_dicom(path)
    for word in [str(path), *words]:
        assert word in str(error.value)


@pytest.mark.parametrize(
    "tags",
    [
        {"Rows": 42},
        {"Columns": 56},
        {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7},
        {"BitsStored": 14, "HighBit": 13, "PixelRepresentation": 1},
        {"BitsStored": 12, "HighBit": 15},
    ],
)
def test_codestream_that_contradicts_the_header(tmp_path, tags):
    codes = cells(picture(12), 12)
    header = make_header(codes, **tags)
    path = save_frame(
        tmp_path / "a.dcm", header, lossless(1)(codes, 12), uid.JPEGLossless
    )
    fails(path, "the JPEG Lossless frame has")


def test_colour_codestream_in_a_grey_header(tmp_path):
    rgb = np.repeat(cells(picture(8), 8)[..., None], 3, -1)
    frame = imagecodecs.jpeg8_encode(rgb)
    path = save_frame(
        tmp_path / "a.dcm", make_header(rgb[..., 0], 8), frame, uid.JPEGBaseline8Bit
    )
    fails(path, "3 components")


@pytest.mark.parametrize(
    ("frame", "word"),
    [
        (b"\xff\x0a" + bytes(60), "ff 0a 00 00"),  # JPEG XL
        (b"\0\0\x01\xb3" + bytes(60), "00 00 01 b3"),  # MPEG-2
        (b"\0\0", "00 00"),
        (b"\xff\xd8\xff\xc2\0\x0b\x08\0\x29\0\x39\x01\x01\x11\0", "ff d8 ff c2"),
        (b"\xff\xd8\xff", "ff d8 ff"),
    ],
)
def test_unknown_formats(tmp_path, frame, word):
    path = save_frame(tmp_path / "a.dcm", make_header(RAMP), frame, uid.MPEG2MPML)
    fails(path, word, "JPEG 2000, RLE")


def test_without_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "imagecodecs", None)
    codes = cells(picture(12), 12)
    path = save_frame(
        tmp_path / "a.dcm", make_header(codes), jpeg2000(codes, 12), uid.JPEG2000
    )
    fails(path, "compressed as JPEG 2000", "pip install 'cxr_jax[dicom]'")
    path = save_run_length(tmp_path / "a.dcm", make_header(codes))
    read_dicom(path)  # RLE needs no extra


FRAMES = {
    "baseline": (8, baseline),
    "extended": (12, baseline),
    "lossless": (12, lossless(1)),
    "JPEG-LS": (12, LOSSLESS["JPEG-LS of whole cells"][1]),
    "JPEG 2000": (12, jpeg2000),
    "HTJ2K": (12, LOSSLESS["HTJ2K"][1]),
}


@pytest.mark.parametrize("kind", FRAMES)
def test_frames_cut_anywhere(tmp_path, kind):
    bits, encode = FRAMES[kind]
    codes = cells(picture(bits, shape=(160, 400)), bits)
    frame = encode(codes, bits)
    path = tmp_path / "a.dcm"
    read_dicom(save_frame(path, make_header(codes, bits), frame, uid.JPEG2000))
    for share in np.linspace(0.001, 0.8, 9):
        part = frame[: int(share * len(frame))]
        # As it is, closed as if it were whole, and filled up with zeros.
        hole = part + bytes(len(frame) - len(part))
        for broken in (part, part + b"\xff\xd9", hole):
            save_frame(path, make_header(codes, bits), broken, uid.JPEG2000)
            fails(path)


@pytest.mark.parametrize("kind", ["baseline", "extended", "lossless", "JPEG-LS"])
def test_frames_with_a_piece_lost_or_doubled(tmp_path, kind):
    bits, encode = FRAMES[kind]
    codes = cells(picture(bits, shape=(160, 400)), bits)
    frame = encode(codes, bits)
    third, path = len(frame) // 3, tmp_path / "a.dcm"
    for broken in (
        frame[:third] + frame[-third:],
        frame[: 2 * third] + frame[third:],
    ):
        save_frame(path, make_header(codes, bits), broken, uid.JPEG2000)
        fails(path, "damaged")


@pytest.mark.parametrize("kind", ["extended", "lossless", "JPEG-LS", "JPEG 2000"])
def test_frames_with_a_hole(tmp_path, kind):
    bits, encode = FRAMES[kind]
    codes = np.random.default_rng(0).integers(0, 2**bits, (200, 300)).astype(np.uint16)
    frame, path = bytearray(encode(codes, bits)), tmp_path / "a.dcm"
    frame[20_000:30_000] = bytes(10_000)
    save_frame(path, make_header(codes, bits), bytes(frame), uid.JPEG2000)
    fails(path, "damaged")


@pytest.mark.parametrize("kind", FRAMES)
def test_damaged_frames_are_read_or_refused(kind):
    # Flipped bits cannot all be seen: no format has a checksum. But nothing else
    # than pixels of the right size or an InputError comes of them.
    bits, encode = FRAMES[kind]
    codes = cells(picture(bits), bits)
    whole = encode(codes, bits)
    rng = np.random.default_rng(0)
    for _ in range(60):
        frame = bytearray(whole)
        frame[rng.integers(2, len(frame) - 2)] = rng.integers(256)
        try:
            stream = codestream.read_codestream("here", bytes(frame))
            if (stream.rows, stream.columns) == SHAPE:
                pixels = codestream.decode("here", bytes(frame), stream)
                assert pixels.shape == SHAPE
        except InputError:
            pass


@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(1, 40),
    columns=st.integers(1, 40),
    kind=st.sampled_from(["flat", "noise", "half"]),
    encoder=st.sampled_from(["baseline", "extended", "lossless"]),
)
def test_no_whole_jpeg_is_taken_for_a_damaged_one(rows, columns, kind, encoder):
    bits, encode = FRAMES[encoder]
    codes = np.random.default_rng(rows).integers(0, 2**bits, (rows, columns))
    codes = codes * {"flat": 0, "noise": 1, "half": np.arange(rows)[:, None] % 2}[kind]
    frame = encode(cells(codes, bits), bits)
    pixels = codestream.decode("here", frame, codestream.read_codestream("here", frame))
    if encoder == "lossless":
        np.testing.assert_array_equal(pixels, codes)


PADDING = [b"\0", b"\xff", b" ", b"\x80", b"\0" * 16, b"\xff" * 7, b"\xff\0 \x01"]


@pytest.mark.parametrize("tail", PADDING)
@pytest.mark.parametrize("fragments", [1, 3])
@pytest.mark.parametrize("kind", [*FRAMES, "a JPEG 2000 file"])
def test_bytes_behind_the_end_of_a_frame(tmp_path, kind, fragments, tail):
    """PS3.5, A.4: whatever they are, and however many, the frame is whole."""
    bits, encode = FRAMES.get(kind, (12, jp2))
    codes = cells(picture(bits), bits)
    frame = encode(codes, bits)
    path = save_frame(tmp_path / "a.dcm", make_header(codes, bits), frame, uid.JPEG2000)
    plain = read_dicom(path)
    assert plain.notes == ()
    for padded in (frame.rstrip(b"\0") + tail, frame + tail):
        save_frame(path, make_header(codes, bits), padded, uid.JPEG2000, fragments)
        np.testing.assert_array_equal(read_dicom(path).pixels, plain.pixels)


@pytest.mark.parametrize("tail", [b"\0", b"\xff", b"\x80", b"\0" * 16, b"\xff" * 64])
def test_bytes_behind_run_lengths(tmp_path, tail):
    path = save_run_length(tmp_path / "a.dcm", make_header(RAMP))
    expected = read_dicom(path).pixels
    frame = pydicom.encaps.get_frame(
        pydicom.dcmread(path).PixelData, 0, number_of_frames=1
    )
    save_frame(path, make_header(RAMP), frame + tail, uid.RLELossless)
    np.testing.assert_array_equal(read_dicom(path).pixels, expected)


@pytest.mark.parametrize("kind", FRAMES)
def test_tables_of_offsets(tmp_path, kind):
    """Empty, right, wrong, or missing: one frame needs none."""
    bits, encode = FRAMES[kind]
    codes = cells(picture(bits), bits)
    frame = encode(codes, bits)
    frame += b"\0" * (len(frame) % 2)
    path = tmp_path / "a.dcm"
    plain = read_dicom(save_frame(path, make_header(codes, bits), frame, uid.JPEG2000))

    def item(data):
        return b"\xfe\xff\0\xe0" + len(data).to_bytes(4, "little") + data

    half = len(frame) // 4 * 2
    for items in (
        (b"", frame),
        (bytes(4), frame),
        (b"\xff" * 8, frame),
        (frame,),
        (frame[:half], frame[half:]),
        (b"", frame[:half], b"", frame[half:]),
    ):
        header = make_header(codes, bits)
        header.PixelData = b"".join(map(item, items))
        header["PixelData"].VR = "OB"
        header["PixelData"].is_undefined_length = True
        save(path, header, uid.JPEG2000)
        np.testing.assert_array_equal(read_dicom(path).pixels, plain.pixels)


@pytest.mark.parametrize("kind", FRAMES)
def test_two_frames_where_one_is_stated(tmp_path, kind):
    bits, encode = FRAMES[kind]
    codes = cells(picture(bits), bits)
    frame = encode(codes, bits)
    path = tmp_path / "a.dcm"
    save_frame(path, make_header(codes, bits), frame + frame, uid.JPEG2000)
    fails(path, "a second frame behind")


def test_fragment_that_is_cut(tmp_path):
    codes = cells(picture(12), 12)
    frame = jpeg2000(codes, 12)
    path = save_frame(tmp_path / "a.dcm", make_header(codes), frame, uid.JPEG2000)
    data = path.read_bytes()
    path.write_bytes(data[:-400])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fails(path)
    header = pydicom.dcmread(save_frame(path, make_header(codes), frame, uid.JPEG2000))
    for cut in (7, 300):
        header.PixelData = header.PixelData[:-cut]
        header.save_as(path)
        fails(path, "bytes of a fragment")


@pytest.mark.parametrize("header_signed", [False, True])
@pytest.mark.parametrize("negative", [False, True])
def test_sign_of_jpeg_2000_against_the_header(tmp_path, header_signed, negative):
    """Counted where both say the same numbers or the header's is the usual; else refused."""
    values = picture(12) // 2 - 1024 * negative  # less than 2048
    path = tmp_path / "a.dcm"
    if header_signed:  # an unsigned codestream of two's complement
        codes = cells(values, 12)
        frame = jpeg2000(codes, 12)
        header = make_header(codes, signed=True)
        save_frame(path, header, frame, uid.JPEG2000Lossless)
        xray = read_dicom(path)
        np.testing.assert_array_equal(xray.pixels, expected(values, 12, True))
        assert xray.notes == ("dicom_sign_contradicted",)
        return
    frame = jpeg2000(values.astype(np.int16), 12)
    header = make_header(cells(values, 12), signed=False)
    save_frame(path, header, frame, uid.JPEG2000Lossless)
    if negative:
        fails(path, "unsigned values, but the frame holds -1024")
    else:
        xray = read_dicom(path)
        np.testing.assert_array_equal(xray.pixels, expected(values, 12, False))
        assert xray.notes == ("dicom_sign_contradicted",)


@pytest.mark.parametrize("kind", ["JPEG-LS", "lossless", "JPEG 2000"])
def test_values_beyond_the_stored_bits(tmp_path, kind):
    values = picture(14)
    codes = cells(values, 14)
    frame = FRAMES[kind][1](codes, 14)
    path = save_frame(tmp_path / "a.dcm", make_header(codes), frame, uid.JPEG2000)
    fails(path, "the header says 12 bits up to bit 11")
    header = make_header(codes, bits=14)
    save_frame(path, header, frame, uid.JPEG2000)
    np.testing.assert_array_equal(read_dicom(path).pixels, expected(values, 14, False))


def test_frame_of_fewer_bits_than_stored(tmp_path):
    codes = cells(picture(8), 8)
    header = make_header(codes.astype(np.uint16), 12)
    path = save_frame(
        tmp_path / "a.dcm", header, baseline(codes, 8), uid.JPEGBaseline8Bit
    )
    xray = read_dicom(path)
    assert xray.notes == ("dicom_depth_contradicted",)
    assert xray.pixels.max() <= 256 * 65535 // 4095


def test_damaged_run_length(tmp_path):
    path = save_run_length(tmp_path / "a.dcm", make_header(RAMP))
    expected = read_dicom(save(tmp_path / "b.dcm", make_header(RAMP))).pixels
    np.testing.assert_array_equal(read_dicom(path).pixels, expected)
    header = pydicom.dcmread(path)
    frame = next(pydicom.encaps.generate_frames(header.PixelData, number_of_frames=1))
    for broken in (frame[:2000], frame[:64], frame[:-40], frame[:-3000] + bytes(3000)):
        save_frame(path, make_header(RAMP), broken, uid.RLELossless)
        fails(path, "damaged RLE frame")


def run_length(codes, across: int) -> bytes:
    """Segments of literal runs of a row each, of which some go on in the next row."""
    segments = []
    for plane in (codes >> 8, codes & 255):
        rows = plane.astype(np.uint8)
        together = [rows[:across].ravel(), *rows[across:]]
        coded = b""
        for row in together:
            for begin in range(0, len(row), 100):
                part = row[begin : begin + 100].tobytes()
                coded += bytes([len(part) - 1]) + part
        segments.append(coded + b"\0" * (len(coded) % 2))
    starts = [64, 64 + len(segments[0])]
    return struct.pack("<16I", 2, *starts, *[0] * 13) + b"".join(segments)


@pytest.mark.parametrize("across, is_torn", [(0, False), (2, True), (20, True)])
def test_rows_of_a_run_length_frame_that_go_on_in_the_next(tmp_path, across, is_torn):
    """As where bytes were lost, and what follows makes up for their number."""
    codes = np.random.default_rng(0).integers(0, 4096, (64, 64), dtype=np.uint16)
    frame = run_length(codes, across)
    path = save_frame(tmp_path / "a.dcm", make_header(codes), frame, uid.RLELossless)
    xray = read_dicom(path)
    assert (xray.pixels == np.rint(codes / 4095 * 65535)).all()
    assert ("dicom_rle_rows_torn" in xray.notes) == is_torn


def test_an_encoder_that_knows_no_rows_is_no_damage(tmp_path):
    codes = np.random.default_rng(0).integers(0, 4096, (64, 64), dtype=np.uint16)
    frame = run_length(codes, 64)
    path = save_frame(tmp_path / "a.dcm", make_header(codes), frame, uid.RLELossless)
    assert "dicom_rle_rows_torn" not in read_dicom(path).notes
