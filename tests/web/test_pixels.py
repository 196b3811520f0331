"""The page's pixels are Python's: every kind of DICOM, PNG and JPEG, in a real browser."""

import io
import struct
import zlib

import cv2
import numpy as np
import pydicom
import pytest
from browser import needs_browser
from dicom_writer import RAMP, lut_item, make_header, save, save_frame
from PIL import Image
from places import SHARED_DATA
from pydicom import uid
from pydicom.dataset import Dataset

from tfds_builders.common.dicom.radiograph import read_radiograph
from tfds_builders.common.errors import InputError
from tfds_builders.common.images import read_grey, resize_longest

pytestmark = needs_browser

SMALL = np.random.default_rng(0).integers(0, 4096, (40, 56)).astype(np.uint16)


def steps(bits=16, longest=256, side=64, pad=False, polarity="header"):
    made = [
        {"op": "read", "bits": bits, "polarity": polarity},
        {"op": "longest", "side": longest},
        *([{"op": "pad"}] if pad else []),
        {"op": "square", "side": side},
        {"op": "unit"},
    ]
    return {"format": 1, "steps": made}


def picture(bits, shape=(41, 57), low=0):
    """Values that look like a film, both ends among them."""
    rng = np.random.default_rng(bits)
    y, x = np.mgrid[: shape[0], : shape[1]]
    smooth = (np.sin(x / 9) + np.cos(y / 7) + 2) / 4 * 0.8 + 0.1
    values = smooth * (2**bits - 1) + rng.normal(0, 2**bits / 200, shape)
    values[0, :2] = 0, 2**bits - 1
    return np.clip(np.rint(values), 0, 2**bits - 1).astype(int) + low


def cells(values, bits):
    return (values % 2**bits).astype(np.uint8 if bits <= 8 else np.uint16)


def voi(*arguments):
    return {"VOILUTSequence": [lut_item(*arguments)]}


def modality(*arguments):
    return {"ModalityLUTSequence": [lut_item(*arguments)]}


def groups():
    window, rescale, shared = Dataset(), Dataset(), Dataset()
    window.WindowCenter, window.WindowWidth = 900, 700
    rescale.RescaleSlope, rescale.RescaleIntercept = 2, -100
    shared.FrameVOILUTSequence = [window]
    shared.PixelValueTransformationSequence = [rescale]
    return {"SharedFunctionalGroupsSequence": [shared]}


BRIGHT = [min(k * 20, 4095) for k in range(300)]
HEADERS = {
    "plain": {},
    "MONOCHROME1": {"polarity": "MONOCHROME1"},
    "linear": {"WindowCenter": 1800, "WindowWidth": 1500},
    "linear of width 9": {"WindowCenter": 2000.5, "WindowWidth": 9},
    "exact": {
        "WindowCenter": 1800,
        "WindowWidth": 1500.5,
        "VOILUTFunction": "LINEAR_EXACT",
    },
    "sigmoid": {
        "WindowCenter": 1800,
        "WindowWidth": 900,
        "VOILUTFunction": "SIGMOID",
    },
    "several windows": {"WindowCenter": [1000, 40], "WindowWidth": [800, 400]},
    "inverse window": {
        "polarity": "MONOCHROME1",
        "WindowCenter": 1800,
        "WindowWidth": 1500,
    },
    "rescale": {
        "RescaleSlope": "0.75",
        "RescaleIntercept": "-512",
        "WindowCenter": 700,
        "WindowWidth": 900,
    },
    "falling slope": {"RescaleSlope": -1, "RescaleIntercept": 4095},
    "VOI LUT": voi(300, 1000, 12, BRIGHT),
    "VOI LUT of bytes": voi(256, 500, 8, bytes(range(256))),
    "modality LUT": modality(300, 1000, 12, BRIGHT),
    "both LUTs": {**modality(300, 1000, 12, BRIGHT), **voi(200, 0, 10, [*range(200)])},
    "empty LUT": {"VOILUTSequence": [Dataset()]},
    "padding": {"PixelPaddingValue": 0, "polarity": "MONOCHROME1"},
    "padding range": {"PixelPaddingValue": 4000, "PixelPaddingRangeLimit": 4095},
    "padding beyond": {"PixelPaddingValue": 65535},
    "groups": groups(),
    **{
        rf"{name[0]}\{name[1]}": {"PatientOrientation": list(name)}
        for name in ["LF", "RF", "RH", "LH", "FL", "FR", "HR", "HL", "AF"]
    },
    "plane": {"ImageOrientationPatient": [-1, 0, 0, 0, 0, -1]},
    "shape": {"PresentationLUTShape": "INVERSE", "ShutterShape": "CIRCULAR"},
    "inverse shape": {"polarity": "MONOCHROME1", "PresentationLUTShape": "INVERSE"},
    "ratio": {"PixelSpacing": [0.1, 0.2], "ImageHorizontalFlip": "Y"},
    "raw": {"PresentationIntentType": "FOR PROCESSING"},
    "named": {"PatientName": "Rossi^Maria", "PatientBirthDate": "19620304"},
}


def check(prepare, path, **arguments):
    """The film and the square of the page are those of Python."""
    made = steps(**arguments)
    found = prepare(path, made)
    bits = arguments.get("bits", 16)
    polarity = arguments.get("polarity", "header")
    if path.suffix == ".dcm":
        xray, notes = read_radiograph(path, polarity)
        expected = xray.pixels
    else:
        expected, notes = read_grey(path, bits)
        if bits == 16 and expected.dtype == np.uint8:
            expected = expected.astype(np.uint16) * 257
    assert "error" not in found, found
    assert found["film"].dtype == expected.dtype
    assert found["film"].shape == expected.shape
    apart = np.abs(found["film"].astype(int) - expected.astype(int)).max()
    assert apart <= 1, f"{apart} grey levels of {np.iinfo(expected.dtype).max}"
    assert named(found["notes"]) == named(notes)
    square = squared(expected, **arguments)
    full = np.iinfo(square.dtype).max
    assert np.abs(found["input"] * full - square).max() <= 1.01
    return found


def named(notes):
    """Without the name of the film, and without what pydicom alone warns of."""
    kept = [key for key in notes if not key.startswith("dicom_unusual")]
    return sorted(k.partition(":")[0] if k.startswith("films_") else k for k in kept)


def squared(film, bits=16, longest=256, side=64, pad=False, polarity="header"):
    """In OpenCV, step by step."""
    small = resize_longest(film, longest)
    if bits == 8 and small.dtype == np.uint16:
        small = np.rint(small / 257).astype(np.uint8)
    if pad:
        height, width = small.shape
        most = max(height, width)
        top, left = (most - height) // 2, (most - width) // 2
        padded = np.zeros((most, most), small.dtype)
        padded[top : top + height, left : left + width] = small
        small = padded
    shrinks = min(small.shape) >= side
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(small, (side, side), interpolation=how)


@pytest.mark.parametrize("name", HEADERS)
def test_headers(prepare, tmp_path, name):
    check(prepare, save(tmp_path / "film.dcm", make_header(RAMP, **HEADERS[name])))


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [1, 8, 10, 12, 15, 16])
def test_depths(prepare, tmp_path, bits, signed):
    if bits == 1 and signed:
        pytest.skip("one bit has no sign")
    codes = cells(picture(bits), bits)
    check(prepare, save(tmp_path / "film.dcm", make_header(codes, bits, signed=signed)))


def test_bits_elsewhere_in_the_cell(prepare, tmp_path):
    high = make_header(SMALL << 3, 12, HighBit=14)
    check(prepare, save(tmp_path / "high.dcm", high))
    rng = np.random.default_rng(1)
    rubbish = rng.integers(0, 8, SMALL.shape).astype(np.uint16) << 13
    smooth = cells(picture(12, SMALL.shape), 12)
    found = check(prepare, save(tmp_path / "bits.dcm", make_header(smooth | rubbish)))
    assert "dicom_bits_left_out" in found["notes"]


def test_an_overlay_is_noted(prepare, tmp_path):
    header = make_header(cells(picture(12, SMALL.shape), 12))
    header.add_new((0x6002, 0x3000), "OW", bytes(8))
    found = check(prepare, save(tmp_path / "overlay.dcm", header))
    assert "dicom_ignored:OverlayData" in found["notes"]


@pytest.mark.parametrize(
    "syntax",
    [
        uid.ImplicitVRLittleEndian,
        uid.ExplicitVRLittleEndian,
        uid.DeflatedExplicitVRLittleEndian,
        uid.ExplicitVRBigEndian,
    ],
)
@pytest.mark.parametrize("bits", [8, 12])
def test_plain_syntaxes(prepare, tmp_path, syntax, bits):
    codes = cells(picture(bits), bits)
    tags = {"WindowCenter": 2 ** (bits - 1), "WindowWidth": 0.7 * 2**bits}
    if bits == 8:
        tags |= voi(256, 0, 8, bytes(range(256)))
    header = make_header(codes, bits, **tags)
    if syntax == uid.ExplicitVRBigEndian and bits == 12:
        header.PixelData = codes.astype(">u2").tobytes()
    check(prepare, save(tmp_path / "film.dcm", header, syntax))


def test_a_data_set_without_a_file_header(prepare, tmp_path):
    whole = save(tmp_path / "whole.dcm", make_header(SMALL)).read_bytes()
    path = tmp_path / "bare.dcm"
    begin = whole.index(b"\x08\0\x16\0")
    path.write_bytes(whole[begin:])
    check(prepare, path)


def encoders(imagecodecs):
    def lossless(predictor):
        return lambda codes, bits: imagecodecs.jpeg8_encode(
            codes, lossless=True, predictor=predictor, bitspersample=bits
        )

    def jpeg2000(**settings):
        return lambda codes, bits: imagecodecs.jpeg2k_encode(
            codes, bitspersample=bits, **settings
        )

    return {
        **{f"predictor {n}": (uid.JPEGLossless, lossless(n)) for n in range(1, 8)},
        "JPEG-LS": (
            uid.JPEGLSLossless,
            lambda codes, _: imagecodecs.jpegls_encode(codes),
        ),
        "near-lossless": (
            uid.JPEGLSNearLossless,
            lambda codes, _: imagecodecs.jpegls_encode(codes, level=3),
        ),
        "JPEG 2000": (
            uid.JPEG2000Lossless,
            jpeg2000(reversible=True, codecformat="j2k"),
        ),
        "JPEG 2000 file": (
            uid.JPEG2000Lossless,
            jpeg2000(reversible=True, codecformat="jp2"),
        ),
        "JPEG 2000 lossy": (uid.JPEG2000, jpeg2000(level=40, codecformat="j2k")),
        "HTJ2K": (
            uid.HTJ2KLossless,
            lambda codes, _: imagecodecs.htj2k_encode(codes, reversible=True),
        ),
    }


KINDS = [
    *(f"predictor {n}" for n in range(1, 8)),
    *("JPEG-LS", "near-lossless", "JPEG 2000", "JPEG 2000 file"),
    *("JPEG 2000 lossy", "HTJ2K"),
]


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("kind", KINDS)
def test_compressed_syntaxes(prepare, tmp_path, kind, bits):
    imagecodecs = pytest.importorskip("imagecodecs", reason="pip install '.[dicom]'")
    syntax, encode = encoders(imagecodecs)[kind]
    codes = cells(picture(bits, (40, 56)), bits)
    header = make_header(codes, bits)
    path = tmp_path / "film.dcm"
    check(prepare, save_frame(path, header, encode(codes, bits), syntax, fragments=2))


@pytest.mark.parametrize("bits", [8, 12])
def test_run_lengths(prepare, tmp_path, bits):
    header = make_header(cells(picture(bits), bits), bits)
    path = save(tmp_path / "film.dcm", header)
    compressed = pydicom.dcmread(path)
    compressed.compress(uid.RLELossless, encoding_plugin="pydicom")
    compressed.save_as(path)
    check(prepare, path)


def test_rows_that_are_torn(prepare, tmp_path):
    """Literal runs of a row each, but one of two rows."""
    codes = cells(picture(8, (40, 50)), 8)
    rows = [codes[k].tobytes() for k in range(38)] + [codes[38:].tobytes()]
    coded = b"".join(bytes([len(row) - 1]) + row for row in rows)
    frame = struct.pack("<16I", 1, 64, *[0] * 14) + coded
    path = save_frame(
        tmp_path / "film.dcm",
        make_header(codes, 8),
        frame + b"\0" * (len(frame) % 2),
        uid.RLELossless,
    )
    assert "dicom_rle_rows_torn" in check(prepare, path)["notes"]


def test_a_sign_that_is_doubtful(prepare, tmp_path):
    codes = cells(picture(12) - 2048, 12)
    found = check(prepare, save(tmp_path / "film.dcm", make_header(codes)))
    assert "dicom_sign_doubtful" in found["notes"]


@pytest.mark.parametrize("quality", [50, 95])
def test_jpeg_baseline(prepare, tmp_path, quality):
    codes = cells(picture(8, (43, 61)), 8)
    stream = io.BytesIO()
    Image.fromarray(codes).save(stream, "JPEG", quality=quality)
    path = tmp_path / "film.dcm"
    check(
        prepare,
        save_frame(
            path, make_header(codes, 8), stream.getvalue(), uid.JPEGBaseline8Bit
        ),
    )


def test_the_polarity_of_the_pixels(prepare, tmp_path):
    from tfds_builders.phantom import write_release

    write_release("covidgr", tmp_path / "release", 4, size=200)
    for path in sorted((tmp_path / "release").rglob("*.jpg"))[:2]:
        film = 255 - cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        target = save(tmp_path / f"{path.stem}.dcm", make_header(film, 8))
        for polarity in ("header", "pixels"):
            found = check(prepare, target, polarity=polarity)
            assert any("polarity" in key for key in found["notes"])


def png(rows, columns, bits, colour, lines, chunks=()):
    """A PNG of stored lines without filters."""

    def chunk(name, data):
        whole = name + data
        return (
            struct.pack(">I", len(data)) + whole + struct.pack(">I", zlib.crc32(whole))
        )

    head = struct.pack(">IIBBBBB", columns, rows, bits, colour, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + line for line in lines))
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + b"".join(chunk(*each) for each in chunks)
        + chunk(b"IDAT", data)
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("dtype, most", [("u1", 255), ("u2", 65535), ("u2", 4095)])
def test_grey_png(prepare, tmp_path, dtype, most, bits):
    values = picture(int(most).bit_length(), (53, 47)).astype(dtype)
    path = tmp_path / "film.png"
    cv2.imwrite(str(path), values)  # with filters of every kind
    check(prepare, path, bits=bits)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_palettes_and_few_bits(prepare, tmp_path, bits):
    rng = np.random.default_rng(bits)
    values = rng.integers(0, 2**bits, (37, 45))
    width = -(-45 * bits // 8)
    lines = []
    for row in values:
        text = "".join(f"{value:0{bits}b}" for value in row).ljust(width * 8, "0")
        lines.append(int(text, 2).to_bytes(width, "big"))
    path = tmp_path / "grey.png"
    path.write_bytes(png(37, 45, bits, 0, lines))
    check(prepare, path, bits=8)
    palette = rng.integers(0, 256, (2**bits, 3)).astype(np.uint8).tobytes()
    path = tmp_path / "palette.png"
    path.write_bytes(png(37, 45, bits, 3, lines, [(b"PLTE", palette)]))
    check(prepare, path, bits=8)
    path.write_bytes(
        png(37, 45, bits, 3, lines, [(b"PLTE", palette), (b"tRNS", b"\xff")])
    )
    check(prepare, path, bits=8)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P", "I;16"])
def test_interlaced_and_coloured_png(prepare, tmp_path, mode):
    values = picture(8, (45, 39)).astype(np.uint8)
    image = Image.fromarray(values)
    if mode == "RGB":
        tint = np.stack([values, np.roll(values, 1, 1), values // 2], -1)
        image = Image.fromarray(tint)
    elif mode == "I;16":
        image = Image.fromarray(picture(16, (45, 39)).astype(np.uint16))
    else:
        image = (
            image.convert("RGB").convert(mode) if mode == "P" else image.convert(mode)
        )
    path = tmp_path / "film.png"
    image.save(path)
    check(prepare, path, bits=8)
    check(prepare, path, bits=16)


def adam7(values):
    """An interlaced PNG of uint8 [H, W]; no library here writes one."""
    passes = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4))
    passes += ((2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
    lines = [
        row.tobytes()
        for top, left, down, across in passes
        for row in values[top::down, left::across]
        if row.size
    ]
    whole = bytearray(png(*values.shape, 8, 0, lines))
    whole[28] = 1
    whole[29:33] = struct.pack(">I", zlib.crc32(bytes(whole[12:29])))
    return bytes(whole)


@pytest.mark.parametrize("shape", [(45, 39), (33, 32), (3, 50)])
def test_interlaced_png(prepare, tmp_path, shape):
    values = np.random.default_rng(2).integers(0, 256, shape).astype(np.uint8)
    path = tmp_path / "film.png"
    path.write_bytes(adam7(values))
    check(prepare, path, bits=8)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("quality", [60, 98])
def test_jpeg(prepare, tmp_path, mode, progressive, quality):
    values = picture(8, (67, 81)).astype(np.uint8)
    image = Image.fromarray(values).convert(mode)
    if mode == "RGB":
        tint = np.stack([values, np.roll(values, 3, 1), values // 2 + 60], -1)
        image = Image.fromarray(tint.astype(np.uint8))
    path = tmp_path / "film.jpg"
    image.save(path, quality=quality, progressive=progressive)
    check(prepare, path, bits=8)


@pytest.mark.parametrize("turn", range(1, 9))
def test_exif(prepare, tmp_path, turn):
    exif = Image.Exif()
    exif[0x0112] = turn
    for suffix in ("jpg", "png"):
        path = tmp_path / f"film.{suffix}"
        image = Image.fromarray(picture(8, (50, 34)).astype(np.uint8))
        image.save(path, exif=exif)
        check(prepare, path, bits=8)


SIZES = [
    *((37, 91), (64, 64), (65, 64), (64, 200), (128, 128), (500, 300), (331, 997)),
    *((256, 256), (512, 512), (511, 769), (20, 700), (1024, 512), (50, 50)),
]


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("bits", [8, 16])
def test_sizes(prepare, tmp_path, shape, bits):
    rng = np.random.default_rng(sum(shape))
    noise = rng.integers(0, 2**bits, shape).astype(np.uint8 if bits == 8 else np.uint16)
    path = tmp_path / "film.png"
    cv2.imwrite(str(path), noise)
    check(prepare, path, bits=bits)
    check(prepare, path, bits=bits, pad=True, longest=150, side=96)


def test_a_dicom_for_a_model_of_8_bits(prepare, tmp_path):
    path = save(tmp_path / "film.dcm", make_header(cells(picture(12, (300, 200)), 12)))
    check(prepare, path, bits=8, longest=128, side=64)


def refused():
    """{name: (file's bytes, what the page says)}"""
    colour = make_header(np.zeros((8, 24), np.uint8), 8, SamplesPerPixel=3)
    colour.PhotometricInterpretation, colour.Columns = "RGB", 8
    frames = make_header(SMALL, NumberOfFrames=2)
    return {
        "colour": (colour, "not a grey radiograph"),
        "frames": (frames, "2 frames"),
        "window": (make_header(SMALL, WindowCenter=1, WindowWidth=0), "window width"),
        "step": (make_header(SMALL, WindowCenter=2000, WindowWidth=1), "as 2 greys"),
        "float": (make_header(SMALL, FloatPixelData=b"\0\0\0\0"), "FloatPixelData"),
        "flat": (make_header(SMALL, WindowCenter=60000, WindowWidth=2), "them all as"),
        "palette": (make_header(SMALL, polarity="PALETTE COLOR"), "PALETTE COLOR"),
        "bits": (make_header(cells(picture(14), 14), 12), "BitsStored"),
        "text": (make_header(SMALL, WindowCenter="1", RescaleSlope="0"), "slope 0"),
    }


@pytest.mark.parametrize("name", refused())
def test_what_python_refuses_the_page_refuses(prepare, tmp_path, name):
    header, words = refused()[name]
    path = save(tmp_path / "film.dcm", header)
    with pytest.raises(InputError):
        read_radiograph(path, "header")
    assert words in prepare(path)["error"]


def test_what_the_page_alone_cannot_read(prepare, tmp_path):
    imagecodecs = pytest.importorskip("imagecodecs", reason="pip install '.[dicom]'")
    codes = cells(picture(12), 12)
    frame = imagecodecs.jpeg8_encode(codes, bitspersample=12)
    path = tmp_path / "film.dcm"
    save_frame(path, make_header(codes), frame, uid.JPEGExtended12Bit)
    assert "12 bits, which this page does not read" in prepare(path)["error"]


@pytest.mark.parametrize("kind", ["tiff", "webp", "gif", "bmp"])
def test_other_formats_are_named(prepare, tmp_path, kind):
    path = tmp_path / f"film.{kind}"
    Image.fromarray(SMALL.astype(np.uint8)).save(path)
    assert kind.upper() in prepare(path)["error"].upper()


def test_cut_files(prepare, tmp_path):
    """Never half an image."""
    values = picture(8, (90, 80)).astype(np.uint8)
    for suffix in ("png", "jpg"):
        whole = tmp_path / f"whole.{suffix}"
        Image.fromarray(values).save(whole)
        data = whole.read_bytes()
        for end in (0, 5, 40, len(data) // 2, len(data) - 3):
            cut = tmp_path / f"cut.{suffix}"
            cut.write_bytes(data[:end])
            assert "error" in prepare(cut), (suffix, end)
    whole = save(tmp_path / "whole.dcm", make_header(SMALL)).read_bytes()
    for end in (0, 131, 140, 500, len(whole) // 2, len(whole) - 2):
        cut = tmp_path / "cut.dcm"
        cut.write_bytes(whole[:end])
        assert "error" in prepare(cut), end


def real_films():
    """A few of each collection of real films, DICOM and pictures."""
    patterns = {
        "BrixIA": "*.dcm",
        "covid-chestxray-dataset": "images/*",
        "NIH-ChestX-ray14": "*.png",
        "chest_xray": "*.jpeg",
    }
    for folder, pattern in patterns.items():
        found = sorted((SHARED_DATA / folder).rglob(pattern))
        yield from found[:: max(len(found) // 4, 1)][:4]


@pytest.mark.skipif(not SHARED_DATA.is_dir(), reason=f"no real films in {SHARED_DATA}")
def test_real_films(prepare):
    for path in real_films():
        try:
            Image.open(path)
        except OSError:
            if path.suffix != ".dcm":
                continue
        check(prepare, path, bits=16 if path.suffix == ".dcm" else 8, longest=512)
