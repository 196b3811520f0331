"""DICOM of every transfer syntax, damaged in its bytes, its frame and its header."""

import contextlib
import functools
import io
import struct
import sys
import tempfile
import warnings
from pathlib import Path

import gdcm
import imagecodecs
import numpy as np
import pydicom
from dicom_writer import data_set, lut_item, make_header, save, save_frame
from pydicom import uid
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_fragments

from tests.fuzz import mutations
from tests.fuzz.case import Case, Kind, Original
from tests.fuzz.mutations import film, pick
from tests.fuzz.pictures import read_film


def _jpeg(codes, bits, **options):
    return imagecodecs.jpeg8_encode(codes, bitspersample=bits, **options)


def _j2k(codes, bits, **options):
    options = {"codecformat": "j2k", "reversible": True, **options}
    return imagecodecs.jpeg2k_encode(codes, bitspersample=bits, **options)


# name: (transfer syntax, bits, encoder).
_FRAMES = {
    "JPEG baseline": (uid.JPEGBaseline8Bit, 8, lambda c, b: _jpeg(c, b, level=95)),
    "JPEG extended": (uid.JPEGExtended12Bit, 12, lambda c, b: _jpeg(c, b, level=95)),
    **{
        f"JPEG lossless, predictor {n}": (
            uid.JPEGLosslessSV1 if n == 1 else uid.JPEGLossless,
            bits,
            functools.partial(_jpeg, lossless=True, predictor=n),
        )
        for n, bits in ((1, 12), (4, 16), (7, 8))
    },
    "JPEG-LS": (uid.JPEGLSLossless, 12, lambda c, _: imagecodecs.jpegls_encode(c)),
    "JPEG-LS near": (
        uid.JPEGLSNearLossless,
        8,
        lambda c, _: imagecodecs.jpegls_encode(c, level=3),
    ),
    "J2K": (uid.JPEG2000Lossless, 12, _j2k),
    "J2K file": (uid.JPEG2000Lossless, 12, lambda c, b: _j2k(c, b, codecformat="jp2")),
    "J2K lossy": (
        uid.JPEG2000,
        8,
        lambda c, b: _j2k(c, b, reversible=False, level=60),
    ),
    "HTJ2K": (
        uid.HTJ2KLossless,
        12,
        lambda c, _: imagecodecs.htj2k_encode(c, reversible=True),
    ),
    "HTJ2K lossy": (
        uid.HTJ2K,
        16,
        lambda c, _: imagecodecs.htj2k_encode(c, level=0.0001),
    ),
}
_NATIVE = {
    "implicit": uid.ImplicitVRLittleEndian,
    "explicit": uid.ExplicitVRLittleEndian,
    "big endian": uid.ExplicitVRBigEndian,
    "deflated": uid.DeflatedExplicitVRLittleEndian,
}
_LOSSY_JPEG = ("JPEG baseline", "JPEG extended")
_BY_GDCM = {
    "JPEG lossless by GDCM": uid.JPEGLosslessSV1,
    "JPEG-LS by GDCM": uid.JPEGLSLossless,
    "J2K by GDCM": uid.JPEG2000Lossless,
    "RLE by GDCM": uid.RLELossless,
}


@functools.cache
def originals() -> tuple[Original, ...]:
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.dcm")
        for name, syntax in _NATIVE.items():
            codes = film() if syntax.is_little_endian else film().astype(">u2")
            found[name] = save(path, make_header(codes), syntax).read_bytes()
        found["8 bits"] = save(path, make_header(film(bits=8), 8)).read_bytes()
        header = make_header(film(), polarity="MONOCHROME1")
        header.WindowCenter, header.WindowWidth = 2000, 3000
        header.RescaleSlope, header.RescaleIntercept = 2, -100
        found["a window"] = save(path, header).read_bytes()
        header = make_header(film(), VOILUTSequence=[_lut(range(4096), 12)])
        found["a LUT"] = save(path, header).read_bytes()
        signed = film().astype(np.int16) - 2048
        header = make_header(signed.view(np.uint16) & 0xFFF, signed=True)
        found["signed"] = save(path, header).read_bytes()
        found["no file header"] = data_set(make_header(film()))
        for name, (syntax, bits, encode) in _FRAMES.items():
            codes = film(bits=bits)
            header, frame = make_header(codes, bits), encode(codes, bits)
            found[name] = save_frame(path, header, frame, syntax).read_bytes()
        header = make_header(film(), signed=True)
        frame = _j2k(signed, 12)
        found["J2K signed"] = save_frame(
            path, header, frame, uid.JPEG2000Lossless
        ).read_bytes()
        save(path, make_header(film()))
        header = pydicom.dcmread(path)
        header.compress(
            uid.RLELossless, encoding_plugin="pydicom", generate_instance_uid=False
        )
        header.save_as(path)
        found["RLE"] = path.read_bytes()
        for name, syntax in _BY_GDCM.items():
            frame = _frame(_encode_by_gdcm(Path(folder), syntax))
            found[name] = save_frame(
                path, make_header(film()), frame, syntax
            ).read_bytes()
    return tuple(Original(*each) for each in found.items())


def _encode_by_gdcm(folder: Path, syntax) -> bytes:
    """Encodes with an encoder that shares no code with the decoder."""
    source, target = folder / "plain.dcm", folder / "gdcm.dcm"
    save(source, make_header(film()))
    reader, writer = gdcm.ImageReader(), gdcm.ImageWriter()
    reader.SetFileName(str(source))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    kind = gdcm.TransferSyntax.GetTSType(str(syntax))
    change.SetTransferSyntax(gdcm.TransferSyntax(kind))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer.SetFileName(str(target))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    return target.read_bytes()


def mutate(rng, index: int) -> Case:
    original = originals()[index]
    how = rng.random()
    if how < 0.01:
        return mutations.no_file(rng, original)
    if how < 0.35:
        return mutations.damage(
            rng, originals(), index, lengths="seen", hole_demand="any"
        )
    if how < 0.6 and _frame(original.data) is not None:
        return _mutate_frame(rng, original)
    return _mutate_header(rng, original)


def _frame(data: bytes) -> bytes | None:
    """The compressed frame of a file; None if it has none."""
    header = pydicom.dcmread(io.BytesIO(data), force=True)
    if not header.file_meta or not header["PixelData"].is_undefined_length:
        return None
    _, *fragments = generate_fragments(header.PixelData)
    return b"".join(fragments)


def _written(header, frame: bytes | None = None, fragments: int = 1) -> bytes:
    """Writes the file of a header, even with values that DICOM does not allow."""
    if frame is not None:
        header.PixelData = encapsulate([frame], fragments_per_frame=fragments)
        header["PixelData"].VR = "OB"
        header["PixelData"].is_undefined_length = True
    out = io.BytesIO()
    with _unchecked():
        header.save_as(out)
    return out.getvalue()


@contextlib.contextmanager
def _unchecked():
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(50_000)  # for sequences in each other
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    sys.setrecursionlimit(limit)


def _mutate_frame(rng, original: Original) -> Case:
    header = pydicom.dcmread(io.BytesIO(original.data))
    frame, name = _frame(original.data), original.name
    family = pick(rng, [*mutations.LENGTHS, *mutations.IN_PLACE, "hole", *_WHOLE])
    if family in _WHOLE:
        if name.startswith("RLE"):
            family = "several fragments"
        frame, fragments = _WHOLE[family](frame)
        return Case(name, family, _written(header, frame, fragments), "same")
    demand = "seen"
    if family == "hole":
        changed = mutations.hole(rng, frame, 16)
        # A coder of JPEG 2000 may write short runs of zeros, and as the coefficients of
        # a JPEG they can fill as many blocks as what they replace.
        if ("J2K" in name and bytes(4096) not in changed) or name in _LOSSY_JPEG:
            demand = "any"
    elif family in mutations.LENGTHS:
        changed = mutations.LENGTHS[family](rng, frame, 16)
        if family == "cut":
            end = pick(rng, [b"", b"\xff\xd9", bytes(len(frame) - len(changed))])
            changed += end
    else:
        changed, demand = mutations.IN_PLACE[family](rng, frame, 0), "any"
    return Case(name, f"frame: {family}", _written(header, changed), demand)


# Frames that are whole (PS3.5, A.4).
_WHOLE = {
    "padded with FF": lambda frame: (frame.rstrip(b"\0") + b"\xff", 1),
    "padded with 20": lambda frame: (frame.rstrip(b"\0") + b" ", 1),
    "padded with 16 zeros": lambda frame: (frame + bytes(16), 1),
    "several fragments": lambda frame: (frame, 3),
}


def _put(name: str, value, vr: str = ""):
    """header -> None: sets an attribute to any value, valid or not."""

    def change(header):
        tag = tag_for_keyword(name)
        kind = vr or pydicom.datadict.dictionary_VR(tag)
        element = DataElement(tag, kind if kind != "US or SS" else "US", None)
        element._value = value
        header[element.tag] = element

    return change


def _window(centre, width, function=None):
    def change(header):
        _put("WindowCenter", centre)(header)
        _put("WindowWidth", width)(header)
        if function:
            _put("VOILUTFunction", function)(header)

    return change


def _lut(data, bits, count=None):
    return lut_item(len(data) if count is None else count, 0, bits, list(data))


def _luts(item):
    return {
        f"{name} {title}": (_put(name, pydicom.Sequence([make])), demand)
        for name in ("VOILUTSequence", "ModalityLUTSequence")
        for title, (make, demand) in item.items()
    }


def _item(**values) -> Dataset:
    item = Dataset()
    for name, value in values.items():
        _put(name, value, "US" if "LUT" in name else "")(item)
    return item


def _groups(header):
    """The functional groups of an enhanced object with one frame."""
    window = _item(WindowCenter="1000", WindowWidth="500")
    group = Dataset()
    group.FrameVOILUTSequence = [window]
    header.SharedFunctionalGroupsSequence = [group]
    header.NumberOfFrames = 1
    for name in ("WindowCenter", "WindowWidth", "VOILUTSequence"):
        header.pop(name, None)


def _nest(header):
    """Sequences nested more deeply than Python's recursion limit."""
    inner = Dataset()
    for _ in range(400):
        outer = Dataset()
        outer.ReferencedStudySequence = [inner]
        inner = outer
    header.ReferencedStudySequence = [inner]


def _other_polarity(header):
    other = "21"[header.PhotometricInterpretation == "MONOCHROME2"]
    header.PhotometricInterpretation = f"MONOCHROME{other}"


def _fewer_bits(header):
    header.BitsStored = header.BitsStored - 2
    header.HighBit = header.BitsStored - 1


def _without(name):
    return lambda header: header.pop(name, None)


def _add(name, number):
    return lambda header: setattr(header, name, getattr(header, name) + number)


def _empty(header):
    """No pixels; in a compressed file, only a table of offsets."""
    is_compressed = header["PixelData"].is_undefined_length
    header.PixelData = struct.pack("<HHI", 0xFFFE, 0xE000, 0) if is_compressed else b""


def _claim(header):
    header.Rows = header.Columns = 65535


_HUGE = "9" * 60_000
_EDITS = {
    "window nan": (_window("nan", "nan"), "noted"),
    "window centre nan": (_window("nan", "400"), "noted"),
    "window centre inf": (_window("inf", "400"), "noted"),
    "window width inf": (_window("2000", "inf"), "noted"),
    "window below all values": (_window("-1e6", "10"), "noted"),
    "window above all values": (_window("1e6", "10"), "noted"),
    "window width 0": (_window("2000", "0"), "noted"),
    "window width negative": (_window("2000", "-5"), "noted"),
    "window text": (_window("abc", "def"), "noted"),
    "window comma": (_window("2000,5", "400,5"), "noted"),
    "window empty": (_window("", ""), "any"),
    "two windows": (_window(["1000", "2000"], ["400", "500"]), "any"),
    "two centres, one width": (_window(["1000", "2000"], "500"), "any"),
    "window sigmoid": (_window("1", "1e-300", "SIGMOID"), "any"),
    "window function": (_window("2000", "400", "CUBIC"), "noted"),
    "RescaleSlope 0": (_put("RescaleSlope", "0"), "noted"),
    "RescaleSlope nan": (_put("RescaleSlope", "nan"), "noted"),
    "RescaleSlope inf": (_put("RescaleSlope", "inf"), "noted"),
    "RescaleSlope text": (_put("RescaleSlope", "abc"), "noted"),
    "RescaleSlope several": (_put("RescaleSlope", ["1", "2"]), "noted"),
    "RescaleSlope negative": (_put("RescaleSlope", "-1"), "heeded"),
    "RescaleSlope tiny": (_put("RescaleSlope", "1e-320"), "any"),
    "RescaleSlope huge": (_put("RescaleSlope", "1e308"), "any"),
    "RescaleIntercept inf": (_put("RescaleIntercept", "inf"), "noted"),
    "RescaleIntercept huge": (_put("RescaleIntercept", "1e300"), "noted"),
    "PresentationLUTShape": (_put("PresentationLUTShape", "INVERSE"), "heeded"),
    "PatientOrientation": (_put("PatientOrientation", ["R", "F"]), "heeded"),
    "PatientOrientation up": (_put("PatientOrientation", ["L", "H"]), "heeded"),
    "PixelAspectRatio": (_put("PixelAspectRatio", ["2", "1"]), "heeded"),
    "functional groups": (_groups, "heeded"),
    "other polarity": (_other_polarity, "heeded"),
    "polarity empty": (_put("PhotometricInterpretation", ""), "noted"),
    "polarity RGB": (_put("PhotometricInterpretation", "RGB"), "noted"),
    "SamplesPerPixel 3": (_put("SamplesPerPixel", 3), "noted"),
    "SamplesPerPixel 0": (_put("SamplesPerPixel", 0), "seen"),
    "SamplesPerPixel text": (_put("SamplesPerPixel", "abc", "LO"), "seen"),
    "NumberOfFrames 2": (_put("NumberOfFrames", "2"), "noted"),
    "NumberOfFrames text": (_put("NumberOfFrames", "abc"), "seen"),
    "NumberOfFrames -1": (_put("NumberOfFrames", "-1"), "seen"),
    "Rows fewer": (_add("Rows", -7), "noted"),
    "Rows more": (_add("Rows", 7), "noted"),
    "Columns fewer": (_add("Columns", -7), "noted"),
    "Columns more": (_add("Columns", 7), "noted"),
    "Rows 0": (_put("Rows", 0), "noted"),
    "Rows text": (_put("Rows", "abc", "LO"), "noted"),
    "Rows several": (_put("Rows", [120, 120]), "seen"),
    "Rows missing": (_without("Rows"), "noted"),
    "65535 x 65535": (_claim, "noted"),
    "BitsStored fewer": (_fewer_bits, "seen"),
    "BitsStored 0": (_put("BitsStored", 0), "noted"),
    "BitsStored 17": (_put("BitsStored", 17), "noted"),
    "BitsStored several": (_put("BitsStored", [12, 12]), "seen"),
    "BitsAllocated 1": (_put("BitsAllocated", 1), "noted"),
    "BitsAllocated 32": (_put("BitsAllocated", 32), "noted"),
    "HighBit 15": (_put("HighBit", 15), "any"),
    "HighBit 65535": (_put("HighBit", 65535), "noted"),
    "signed": (_put("PixelRepresentation", 1), "any"),
    "unsigned": (_put("PixelRepresentation", 0), "any"),
    "PixelRepresentation 2": (_put("PixelRepresentation", 2), "seen"),
    "padding value text": (_put("PixelPaddingValue", "abc", "LO"), "seen"),
    "padding value several": (_put("PixelPaddingValue", [5000, 6000]), "seen"),
    "PixelData empty": (_empty, "noted"),
    "PixelData missing": (_without("PixelData"), "noted"),
    "character set": (_put("SpecificCharacterSet", "ISO_IR 999"), "seen"),
    "names with escapes": (_put("PatientName", "A^\x1b[31m\n\0B", "LO"), "seen"),
    "PatientID long": (_put("PatientID", _HUGE), "seen"),
    "PatientID several": (_put("PatientID", ["a", "b"]), "seen"),
    "Manufacturer several": (_put("Manufacturer", ["a", "b"]), "seen"),
    "PatientAge text": (_put("PatientAge", "x" * 300), "seen"),
    "nested sequences": (_nest, "seen"),
    "VOILUTSequence none": (_put("VOILUTSequence", pydicom.Sequence([])), "any"),
    **_luts(
        {
            "empty item": (Dataset(), "noted"),
            "declared too shallow": (_lut(range(4096), 8), "noted"),
            "too short": (_lut(range(16), 12, count=4096), "noted"),
            "of one value": (_lut([7], 12), "noted"),
            "of 0 bits": (_lut(range(4096), 0), "noted"),
            "fair": (_lut(range(4096), 12), "any"),
            "without data": (_item(LUTDescriptor=[4096, 0, 12]), "noted"),
            "two numbers in its descriptor": (
                _item(LUTDescriptor=[4096, 0], LUTData=[1, 2]),
                "noted",
            ),
        }
    ),
}
_SYNTAXES = ("", "1.2.3", "abc", *_NATIVE.values(), uid.RLELossless, uid.JPEG2000)


def _mutate_header(rng, original: Original) -> Case:
    name = original.name
    bare = name == "no file header"
    if rng.random() < 0.08 and not bare:
        return _mutate_meta(rng, original)
    if rng.random() < 0.05 and not bare:
        return _bomb(rng, original)
    title = pick(rng, list(_EDITS))
    change, demand = _EDITS[title]
    header = pydicom.dcmread(io.BytesIO(original.data), force=True)
    is_signed = bool(header.PixelRepresentation)
    change(header)
    if (title == "signed") != is_signed and title in ("signed", "unsigned"):
        demand = "seen" if "J2K" in name else "any"  # it has a sign of its own
    if name == "a LUT" and title.startswith(
        ("window", "Rescale", "two ", "functional")
    ):
        demand = "any"  # a LUT comes first
    if name == "a window" and title in ("RescaleSlope huge", "RescaleIntercept huge"):
        demand = "any"
    if title == "PresentationLUTShape" and name == "a window":
        demand = "same"  # it is MONOCHROME1, which is INVERSE (PS3.3, C.11.6.1.2)
    if bare:
        with _unchecked():
            data = data_set(header, uid.ExplicitVRLittleEndian)
        return Case(name, title, data, demand)
    return Case(name, title, _written(header), demand)


def _mutate_meta(rng, original: Original) -> Case:
    """A transfer syntax other than that of the data, with the same file length."""
    header = pydicom.dcmread(io.BytesIO(original.data))
    old = header.file_meta.TransferSyntaxUID.encode()
    room = len(old) + len(old) % 2
    new = pick(rng, [s.encode() for s in _SYNTAXES if len(s) <= room])
    data = original.data.replace(old.ljust(room, b"\0"), new.ljust(room, b"\0"), 1)
    return Case(original.name, "transfer syntax", data, "seen")


def _bomb(rng, original: Original) -> Case:
    """A small file that claims, or unpacks to, more memory than any machine has."""
    header = pydicom.dcmread(io.BytesIO(original.data))
    frame = _frame(original.data)
    if frame is None:
        deflated = next(o for o in originals() if o.name == "deflated").data
        end = 132 + _meta_length(deflated)
        element = struct.pack("<HH2sHI", 9, 0x1001, b"OB", 0, 3 << 30)
        raw = mutations.deflated_zeros(3 << 10)[0]
        stored = b"\0" + struct.pack("<HH", len(element), 0xFFFF ^ len(element))
        data = deflated[:end] + stored + element + raw
        return Case("deflated", "unpacks to 3 GiB", data, "noted")
    header.Rows = header.Columns = 65535
    rows, columns = struct.pack(">H", 120), struct.pack(">H", 160)
    big = b"\xff\xff"
    frame = frame.replace(rows + columns, big + big, 1)  # SOF
    old, new = struct.pack(">II", 160, 120), struct.pack(">II", 65535, 65535)
    frame = frame.replace(old, new)  # SIZ
    data = _written(header, frame)
    return Case(original.name, "65535 x 65535 in the frame too", data, "noted")


def _meta_length(data: bytes) -> int:
    """Bytes of the file meta information, including its first element."""
    return 12 + struct.unpack_from("<I", data, 140)[0]


def place(folder: Path, case: Case) -> Path:
    return mutations.place(folder / "film.dcm", case)


DICOM = Kind(originals, mutate, place, read_film, share=4)
