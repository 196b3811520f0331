"""DICOM files for the tests of the readers: any header, syntax and damage."""

import io

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian


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


def save_frame(path, header, frame, syntax, fragments=1):
    """`save`, with a compressed frame for pixel data."""
    header.PixelData = encapsulate([frame], fragments_per_frame=fragments)
    header["PixelData"].VR = "OB"
    header["PixelData"].is_undefined_length = True
    return save(path, header, syntax)


def data_set(header, syntax=ExplicitVRLittleEndian) -> bytes:
    """The bytes of a file after its preamble and file meta information."""
    file = io.BytesIO()
    header.save_as(
        file,
        implicit_vr=syntax.is_implicit_VR,
        little_endian=syntax.is_little_endian,
    )
    return file.getvalue()


def lut_item(count, start, bits, data):
    item = Dataset()
    item.LUTDescriptor = [count % 65536, start, bits]
    item.LUTData = data
    item["LUTDescriptor"].VR = "US" if start >= 0 else "SS"
    item["LUTData"].VR = "US" if isinstance(data, list) else "OW"
    return item


RAMP = np.arange(4096, dtype=np.uint16).reshape(64, 64)
