"""Small files that take more than any machine has, and paths that never end."""

import io
import os
import struct
import zipfile
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from dicom_writer import RAMP, data_set, make_header, save, save_frame
from pydicom import uid

from tfds_builders.build import build
from tfds_builders.common import limits
from tfds_builders.common.build.builder import Options
from tfds_builders.common.dicom.radiograph import read_dicom
from tfds_builders.common.errors import InputError
from tfds_builders.common.images import read_grey
from tfds_builders.common.tables import read_csv, read_xlsx
from tfds_builders.image_folder.contents import read_contents

READERS = {
    "film.dcm": read_dicom,
    "film.png": read_grey,
    "header.dcm": lambda path: read_contents(path, path.name),
    "table.csv": lambda path: read_csv(path, ["a"]),
    "table.xlsx": lambda path: read_xlsx(path, ["a"]),
}


def fails(path, *words, reader):
    with pytest.raises(InputError) as error:
        reader(path)
    for word in [str(path), *words]:
        assert word in str(error.value)


@pytest.mark.parametrize("name", READERS)
def test_what_is_not_a_file(tmp_path, name):
    path = tmp_path / name
    os.mkfifo(path)
    fails(path, "a pipe, not a file", reader=READERS[name])
    path.unlink()
    path.symlink_to("/dev/zero")
    fails(path, "a device, not a file", reader=READERS[name])
    path.unlink()
    path.mkdir()
    fails(path, "a folder, not a file", reader=READERS[name])


@pytest.mark.parametrize("name", ["table.csv", "table.xlsx"])
def test_tables_that_cannot_be_opened(tmp_path, name):
    path = tmp_path / name
    fails(path, "no such file", reader=READERS[name])
    path.symlink_to(path)
    fails(path, "cannot be read", reader=READERS[name])


def deflated_zeros(mebibytes):
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return block * mebibytes + packer.flush()


def test_deflated_data_set(tmp_path):
    path = save(
        tmp_path / "a.dcm", make_header(RAMP), uid.DeflatedExplicitVRLittleEndian
    )
    meta = path.read_bytes()
    length = 144 + struct.unpack_from("<I", meta, 140)[0]
    path.write_bytes(meta[:length] + deflated_zeros(2000))  # two GB of two MB
    fails(path, "deflated data of 300 MB or more", limits.VARIABLE, reader=read_dicom)


@pytest.mark.parametrize(
    "syntax",
    [
        uid.ExplicitVRLittleEndian,
        uid.RLELossless,
        uid.JPEG2000Lossless,
        uid.JPEGLossless,
    ],
)
def test_picture_that_claims_to_be_large(tmp_path, syntax):
    header = make_header(RAMP, Rows=65535, Columns=65535)
    path = tmp_path / "a.dcm"
    if syntax == uid.ExplicitVRLittleEndian:
        save(path, header, syntax)
    else:
        save_frame(path, header, b"\xff\x4f\xff\x51" + bytes(900), syntax)
    assert path.stat().st_size < 10_000
    fails(path, "65535 x 65535 pixels, more than 100 million", reader=read_dicom)


def png(rows, columns):
    def chunk(name, data):
        crc = zlib.crc32(name + data)
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", crc)

    head = struct.pack(">IIBBBBB", columns, rows, 8, 0, 0, 0, 0)
    body = zlib.compress((b"\0" + bytes(columns)) * rows)
    parts = [(b"IHDR", head), (b"IDAT", body), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def test_largest_picture_is_an_option(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    path.write_bytes(png(1000, 2000))
    monkeypatch.setenv(limits.VARIABLE, "1.9")
    fails(path, "1000 x 2000 pixels, more than 1.9 million", reader=read_grey)
    monkeypatch.setenv(limits.VARIABLE, "2")
    assert read_grey(path).pixels.shape == (1000, 2000)
    jpeg = tmp_path / "a.jpg"
    jpeg.write_bytes(
        cv2.imencode(".jpg", np.zeros((1001, 2000), np.uint8))[1].tobytes()
    )
    fails(jpeg, "1001 x 2000 pixels", reader=read_grey)


@pytest.mark.parametrize("value", ["many", "0", "-1", "nan"])
def test_option_that_is_no_number(tmp_path, monkeypatch, value):
    monkeypatch.setenv(limits.VARIABLE, value)
    with pytest.raises(InputError, match=limits.VARIABLE):
        limits.most_pixels()


def test_large_file(tmp_path, monkeypatch):
    monkeypatch.setenv(limits.VARIABLE, "1")
    path = tmp_path / "table.csv"
    with path.open("wb") as file:
        file.truncate(limits.most_bytes() + 1)  # of holes
    for reader in READERS.values():
        if reader is not READERS["header.dcm"]:
            fails(path, "a file of 34 MB or more", reader=reader)


def test_workbook_that_unpacks_to_more(tmp_path):
    path = tmp_path / "a.xlsx"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/sharedStrings.xml", bytes(100 << 20))
    path.write_bytes(out.getvalue())
    fails(path, "unpacks to 105 MB", reader=READERS["table.xlsx"])


def test_length_beyond_the_file_in_a_header(tmp_path):
    """An element that claims four GiB is cut at the end of the file."""
    path = save(tmp_path / "a.dcm", make_header(RAMP))
    data = path.read_bytes()
    at = data.index(b"\xe0\x7f\x10\0OW\0\0") + 8
    path.write_bytes(data[:at] + b"\xf0\xff\xff\xff" + data[at + 4 :])
    expected = np.rint(RAMP * 65535.0 / 4095)
    np.testing.assert_array_equal(read_dicom(path).pixels, expected)
    path.write_bytes(path.read_bytes()[:-2])
    fails(path, "8190 of 8192 bytes of pixel data", reader=read_dicom)
    assert read_contents(path, "a.dcm").format == "dicom"
    path.write_bytes(data_set(make_header(RAMP))[:-3])
    fails(path, "no transfer syntax", reader=read_dicom)


def test_build_goes_on_without_files_of_no_end(tmp_path, monkeypatch):
    """Pipe, device, two bombs and a large picture among four films."""
    rng = np.random.default_rng(0)
    release = tmp_path / "release"
    for number in range(4):
        folder = release / "AB"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        film = cv2.resize(rng.random((9, 9)), (64, 64)) * 255
        folder.joinpath(f"{number}.png").write_bytes(
            cv2.imencode(".png", film.astype(np.uint8))[1].tobytes()
        )
    bad = release / "A"
    os.mkfifo(bad / "pipe.png")
    (bad / "device.png").symlink_to("/dev/zero")
    bad.joinpath("large.png").write_bytes(png(1000, 1001))
    claims = make_header(RAMP, Rows=65535, Columns=65535)
    save_frame(
        bad / "claims.dcm", claims, b"\xff\x4f\xff\x51" + bytes(900), uid.JPEG2000
    )
    deflated = save(
        bad / "deflated.dcm", make_header(RAMP), uid.DeflatedExplicitVRLittleEndian
    )
    meta = deflated.read_bytes()
    length = 144 + struct.unpack_from("<I", meta, 140)[0]
    deflated.write_bytes(meta[:length] + deflated_zeros(400))
    monkeypatch.setenv(limits.VARIABLE, "1")
    builder = build(
        "image_folder", release, tmp_path / "data", True, Options(max_rejected=5)
    )
    stored = sum(split.num_examples for split in builder.info.splits.values())
    assert stored == 4
    rejected = (Path(builder.data_path) / "rejected.csv").read_text()
    for name in ("large.png", "claims.dcm", "deflated.dcm"):
        assert f"A/{name}," in rejected
