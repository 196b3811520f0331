"""The two tables of the BrixIA release, checked, as rows of the right types."""

import re
from pathlib import Path
from typing import NamedTuple

from tfds_builders.common.errors import InputError
from tfds_builders.common.tables import first, read_csv, refuse
from tfds_builders.common.zones import LEVELS, ZONES

GLOBAL = ("metadata_global_v2.csv", "metadata_global_v1.csv")  # preferred first
CONSENSUS = "metadata_consensus_v1.csv"
_COLUMNS = (
    "Filename",
    "Modality",
    "Manufacturer",
    "PhotometricInterpretation",
    "BrixiaScore",
    "BrixiaScoreGlobal",
    "ConsensusTestset",
    "Subject",
    "StudyId",
    "Sex",
    "AgeAtStudyDateFiveYear",
)
_AGAIN = "Copy the table from the release again."
_SPREADSHEET = (
    "Copy the table from the release again, and open csv files as text: a spreadsheet "
    "removed leading zeros (BrixiaScore 000001 became 1) or rounded long numbers."
)


class Row(NamedTuple):
    """One image in metadata_global."""

    file_name: str
    scores: tuple[int, ...]  # zones A..F, 0..3
    in_test_set: bool
    subject: str
    study: str
    sex: str
    age_bin: int  # five years wide, 11 = 55-59; -1 unknown
    modality: str
    manufacturer: str
    photometric_interpretation: str


class Consensus(NamedTuple):
    """Scores of one image of the test set by five readers, zones A..F."""

    mean: tuple[float, ...]
    mode: tuple[int, ...]


def read_global(path: Path) -> list[Row]:
    """Rows of metadata_global_v1 or v2, sorted by file name.

    Errors: InputError, naming the rows, for scores that are not six digits 0..3, lost
    their leading zeros or do not add up to the global score, and for file names that
    appear twice or were rounded by a spreadsheet.
    """
    table = list(enumerate(read_csv(path, _COLUMNS), start=2))
    refuse(
        path,
        (f"line {i}: {r['Filename']}" for i, r in table if "E+" in r["Filename"]),
        "file names are rounded numbers",
        _SPREADSHEET,
    )
    _check_names(path, table)
    digits = len(ZONES)
    refuse(
        path,
        (
            f"line {i}: {r['BrixiaScore']!r} ({r['Filename']})"
            for i, r in table
            if re.fullmatch(rf"\d{{1,{digits - 1}}}", r["BrixiaScore"])
        ),
        f"scores have fewer than {digits} digits: leading zeros are missing",
        _SPREADSHEET,
    )
    refuse(
        path,
        (
            f"line {i}: {r['BrixiaScore']!r} ({r['Filename']})"
            for i, r in table
            if not re.fullmatch(rf"[0-{LEVELS - 1}]{{{digits}}}", r["BrixiaScore"])
        ),
        f"scores are not {digits} digits from 0 to {LEVELS - 1}, one per zone",
        _AGAIN,
    )
    refuse(
        path,
        (
            f"line {i}: {r['BrixiaScore']} does not sum to {r['BrixiaScoreGlobal']} "
            f"({r['Filename']})"
            for i, r in table
            if str(sum(map(int, r["BrixiaScore"]))) != r["BrixiaScoreGlobal"]
        ),
        "zone scores do not add up to the global score",
        _AGAIN,
    )
    refuse(
        path,
        (
            f"line {i}: {r['ConsensusTestset']!r}"
            for i, r in table
            if r["ConsensusTestset"] not in ("0", "1")
        ),
        "values of ConsensusTestset are neither 0 nor 1",
        _AGAIN,
    )
    refuse(
        path,
        (f"line {i}: {r['Filename']}" for i, r in table if not r["Subject"]),
        "rows have no Subject and cannot be split by patient",
        _AGAIN,
    )
    rows = [
        Row(
            file_name=r["Filename"],
            scores=tuple(map(int, r["BrixiaScore"])),
            in_test_set=r["ConsensusTestset"] == "1",
            subject=r["Subject"],
            study=r["StudyId"],
            sex=r["Sex"],
            age_bin=_age_bin(path, i, r["AgeAtStudyDateFiveYear"]),
            modality=r["Modality"],
            manufacturer=r["Manufacturer"],
            photometric_interpretation=r["PhotometricInterpretation"],
        )
        for i, r in table
    ]
    return sorted(rows)


def read_consensus(path: Path) -> dict[str, Consensus]:
    """Consensus by file name; see `read_global` for the errors."""
    columns = [kind + zone for kind in ("Mean", "Mode") for zone in ZONES]
    rows = read_csv(path, ["Filename", *columns], may_be_empty=True)
    table = list(enumerate(rows, start=2))
    _check_names(path, table)
    consensus, wrong = {}, []
    for i, row in table:
        try:
            mean = tuple(float(row["Mean" + zone]) for zone in ZONES)
            mode = tuple(int(row["Mode" + zone]) for zone in ZONES)
        except ValueError:
            mean, mode = (-1.0,), (-1,)
        if not all(0 <= x <= LEVELS - 1 for x in mean + mode):
            wrong.append(f"line {i} ({row['Filename']})")
        consensus[row["Filename"]] = Consensus(mean, mode)
    refuse(path, wrong, f"rows have scores outside 0 to {LEVELS - 1}", _AGAIN)
    return consensus


def check_files(
    path: Path,
    rows: list[Row],
    folder: Path,
    pictures: list[Path],
    path_of: dict[str, Path],
) -> None:
    """Raise InputError unless the table and the folder name the same files.

    path_of: of `listing.by_name`.
    """
    listed = {row.file_name for row in rows}
    missing = sorted(listed - path_of.keys())
    extra = sorted({p.name for p in pictures} - {p.name for p in path_of.values()})
    if missing:
        raise InputError(
            folder,
            f"{len(missing)} of the {len(listed)} images in {path.name} are missing: "
            f"{first(missing)}",
            "The release is incomplete, or is not the version of the table: join and "
            "unpack all parts again (cat *.tar.gz.* | tar -xzv).",
        )
    if extra:
        raise InputError(
            folder,
            f"{len(extra)} images have no row in {path.name}: {first(extra)}",
            "The images are not the version of the table: copy both from one "
            "release, or move these images elsewhere.",
        )


def _check_names(path, table) -> None:
    lines: dict[str, list[int]] = {}
    for i, row in table:
        lines.setdefault(row["Filename"], []).append(i)
    refuse(
        path,
        (f"{name} (lines {n})" for name, n in lines.items() if len(n) > 1),
        "file names appear more than once",
        _AGAIN,
    )


def _age_bin(path, line, text) -> int:
    if not text:
        return -1
    if not text.isdecimal():
        raise InputError(
            f"{path}, line {line}", f"AgeAtStudyDateFiveYear is {text!r}", _AGAIN
        )
    return int(text)
