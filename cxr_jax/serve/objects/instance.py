"""What all results have in common: study, series, equipment, and who made them."""

from __future__ import annotations

import json
from typing import NamedTuple

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

import cxr_jax
from cxr_jax.bundle.loaded import Bundle
from cxr_jax.serve.objects import codes, uids
from cxr_jax.serve.objects.origin import Origin
from cxr_jax.serve.scored import FilmResult

MAKER = "cxr_jax"


class Kind(NamedTuple):
    """Attributes:
    name: 'sr', 'sc' or 'pdf'.
    sop_class: of the standard.
    modality: as defined in PS3.3, C.7.3.1.1.1.
    series_number: high, so that it comes after the films.
    description: of the series, for people.
    """

    name: str
    sop_class: UID
    modality: str
    series_number: int
    description: str


class Subject(NamedTuple):
    """What a result is about.

    Attributes:
      origin: the film.
      result: what the model made of it.
      bundle: the model.
    """

    origin: Origin
    result: FilmResult
    bundle: Bundle


def uid(subject: Subject, kind: Kind, what: str) -> UID:
    """Of `what` in a result, the same whenever it is made.

    Whatever may change the content is in it: the film, its patient and study, which
    archives correct, the model, this version, and what the gate had to say, which
    depends on --gate.
    """
    return uids.uid(
        str(subject.origin.sop),
        json.dumps(subject.origin.header.to_json_dict(), sort_keys=True),
        subject.bundle.digest,
        cxr_jax.__version__,
        subject.result.record["gate"],
        kind.name,
        what,
    )


def new(subject: Subject, kind: Kind) -> Dataset:
    """A data set with the modules that all kinds have.

    It has no date of creation, and its content has the film's own date: a film that is
    scored again gives the same bytes, since an archive may take another object under a
    UID that it knows for a fault. When the film was scored, the node's journal knows.
    """
    made = Dataset()
    made.update(subject.origin.header)
    made.SOPClassUID = kind.sop_class
    made.SOPInstanceUID = uid(subject, kind, "instance")
    made.InstanceNumber = 1
    made.ContentDate, made.ContentTime = subject.origin.date, subject.origin.time
    made.CodingSchemeIdentificationSequence = [codes.scheme_item()]
    made.Modality = kind.modality
    made.SeriesInstanceUID = uid(subject, kind, "series")
    made.SeriesNumber = kind.series_number
    made.SeriesDescription = kind.description
    made.Manufacturer = MAKER
    made.ManufacturerModelName = subject.bundle.recipe.name[:64]
    made.DeviceSerialNumber = subject.bundle.digest
    made.SoftwareVersions = f"{MAKER} {cxr_jax.__version__}"
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = made.SOPClassUID
    meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    made.file_meta = meta
    return made


def reference(origin: Origin) -> Dataset:
    """The film, as an item of a sequence of instances."""
    item = Dataset()
    item.ReferencedSOPClassUID = origin.sop_class
    item.ReferencedSOPInstanceUID = origin.sop
    return item
