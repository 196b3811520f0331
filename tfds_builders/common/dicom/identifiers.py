"""Attributes of a DICOM header that may name a person; never their values."""

import hashlib
import re

import pydicom
from pydicom.datadict import tag_for_keyword

# Names, addresses, dates and numbers that identify a person, or the order for one
# film, directly. Chosen from PS3.15, table E.1-1 (basic profile); dates of studies,
# institutions, devices and UIDs are in it too, but identify nobody by themselves.
DIRECT = (
    "PatientName",
    "PatientBirthDate",
    "PatientBirthName",
    "PatientMotherBirthName",
    "PatientAddress",
    "PatientTelephoneNumbers",
    "PatientTelecomInformation",
    "OtherPatientIDs",
    "OtherPatientIDsSequence",
    "OtherPatientNames",
    "MedicalRecordLocator",
    "ResponsiblePerson",
    "InsurancePlanIdentification",
    "AccessionNumber",
    "ReferringPhysicianName",
    "ReferringPhysicianAddress",
    "ReferringPhysicianTelephoneNumbers",
    "RequestingPhysician",
    "PerformingPhysicianName",
    "PhysiciansOfRecord",
    "NameOfPhysiciansReadingStudy",
    "OperatorsName",
)
# Placeholders of de-identification; whole words, because Zanoni is a name.
_PLACEHOLDER = re.compile(
    r"(?<![a-z])(anon|de-?id|remov|redact|unknown|hidden|pseudo|synthetic|phantom|no\W?"
    r"name|no\W?value|not\W|(none|null|test|patient|subject|name|doe|xxx+)(?![a-z]))"
    r"|^n/?a$",
    re.IGNORECASE,
)
# 1 January is how a year is written without the day.
_NO_DATE = re.compile(r"^(0*|1{8}|9{8}|\d{4}0101)$")


def identifiers(header: pydicom.Dataset) -> tuple[str, ...]:
    """The attributes of a header that seem to name a person, in a fixed order.

    A value counts unless it is empty, a placeholder, or the PatientID again. The last
    two are statements of the header itself: BurnedInAnnotation (text in the pixels) if
    it is YES, PatientIdentityRemoved if it is NO. A hint, not a proof: private
    attributes, other sequences and the pixels are not searched.
    """
    patient = _key(_text(header, "PatientID"))
    found = [name for name in DIRECT if _is_real(header, name, patient)]
    if _text(header, "BurnedInAnnotation").upper() == "YES":
        found.append("BurnedInAnnotation")
    if _text(header, "PatientIdentityRemoved").upper() == "NO":
        found.append("PatientIdentityRemoved")
    return tuple(found)


def pseudonym(text: str) -> str:
    """Sixteen hexadecimal digits that stand for a text; '' for ''.

    It keeps ids out of a dataset. It is not anonymisation: anyone who knows or can
    list the ids can compute their pseudonyms.
    """
    if not text:
        return ""
    return hashlib.sha256(f"cxr_jax pseudonym {text}".encode()).hexdigest()[:16]


def _is_real(header, name: str, patient: str) -> bool:
    text = _text(header, name)
    if name == "PatientBirthDate":
        return not _NO_DATE.match(re.sub(r"\D", "", text))
    key = _key(text)
    return bool(key.strip("0x")) and key != patient and not _PLACEHOLDER.search(text)


def _text(header, name: str) -> str:
    """The raw value as text, so that no error quotes a damaged value."""
    tag = tag_for_keyword(name)
    if tag not in header:
        return ""
    value = header.get_item(tag).value
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    elif isinstance(value, pydicom.Sequence):
        value = f"{len(value)} items" if value else ""
    return "" if value is None else str(value).strip("\0 ")


def _key(text: str) -> str:
    return re.sub(r"[\W_]", "", text).casefold()
