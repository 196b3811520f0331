"""Instances for a DICOM node: films that differ, as bytes and as data sets."""

import cv2
import numpy as np
import pydicom
from dicom_writer import make_header
from pydicom.uid import ExplicitVRLittleEndian

PATIENT = "Mustermann^Erika"
ROOT = "1.2.826.0.1.3680043.8.498"  # pydicom's, for whoever has none


def film(number: int, side: int = 96, **tags) -> pydicom.Dataset:
    """A CR film of that number, ready to be sent: the same each time."""
    rng = np.random.default_rng(number)
    coarse = rng.random((8, 8)).astype(np.float32)
    noise = np.clip(cv2.resize(coarse, (side, side)), 0, 1)
    codes = (4095 * noise).astype(np.uint16)
    header = make_header(codes)
    header.SOPInstanceUID = f"{ROOT}.1.{number}"
    header.StudyInstanceUID = f"{ROOT}.2.{number}"
    header.SeriesInstanceUID = f"{ROOT}.3.{number}"
    header.PatientName = PATIENT
    header.PatientID = f"ID-{number}"
    header.AccessionNumber = "ACC-4711"
    for name, value in tags.items():
        setattr(header, name, value)
    header.file_meta = pydicom.dataset.FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return header
