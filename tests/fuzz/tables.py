"""Tables: csv and xlsx."""

import functools
import io
import re
import zipfile
from pathlib import Path

import openpyxl

from tests.fuzz import mutations
from tests.fuzz.case import Case, Kind, Original, Reading
from tests.fuzz.mutations import pick
from tfds_builders.common.tables import read_csv, read_xlsx

_COLUMNS = ("patientid", "filename", "finding")
_SHEET, _STRINGS = "xl/worksheets/sheet1.xml", "xl/sharedStrings.xml"
_ROWS = [(f"P{i:03}", f"{10**19 + i}.png", ("COVID", "none")[i % 2]) for i in range(60)]


@functools.cache
def csvs() -> tuple[Original, ...]:
    def make(separator, end, start=""):
        lines = [separator.join(row) for row in (_COLUMNS, *_ROWS)]
        return (start + end.join(lines) + end).encode()

    quoted = make(",", "\n").replace(b"COVID", b'"COVID, ""19""\nlater"')
    return (
        Original("commas", make(",", "\n")),
        Original("semicolons", make(";", "\r\n", "\ufeff")),
        Original("quoted", quoted),
    )


# name: a change of the text of a csv.
_CSV = {
    "NUL": lambda rng, text: _insert(rng, text, b"\0"),
    "quote": lambda rng, text: _insert(rng, text, b'"'),
    "separator": lambda rng, text: _insert(rng, text, b","),
    "carriage returns": lambda rng, text: text.replace(b"\n", b"\r"),
    "Latin-1": lambda rng, text: _insert(rng, text, "ü".encode("latin-1")),
    "UTF-16": lambda rng, text: text.decode("utf-8-sig").encode("utf-16"),
    "a cell of 200 kB": lambda rng, text: _insert(rng, text, b"x" * 200_000),
    "a column twice": lambda rng, text: text.replace(b"finding", b"filename", 1),
    "a column missing": lambda rng, text: text.replace(b"finding", b"found", 1),
    "header alone": lambda rng, text: text.splitlines(keepends=True)[0],
    "no line end": lambda rng, text: text.replace(b"\n", b" "),
    "surrogates": lambda rng, text: _insert(rng, text, b"\xed\xa0\x80"),
    "escape codes": lambda rng, text: _insert(rng, text, b"\x1b[31m"),
    "2 million lines": lambda rng, text: text + text[-30:] + b"a,b,c\n" * 2_000_000,
}


def _insert(rng, text: bytes, new: bytes) -> bytes:
    at = int(rng.integers(len(text)))
    return text[:at] + new + text[at:]


def mutate_csv(rng, index: int) -> Case:
    original = csvs()[index]
    how = rng.random()
    if how < 0.05:
        return mutations.no_file(rng, original)
    if how < 0.5:
        return mutations.damage(rng, csvs(), index, lengths="any", hole_demand="any")
    family = pick(rng, list(_CSV)[: None if rng.random() < 0.1 else -1])
    return Case(original.name, family, _CSV[family](rng, original.data), "any")


@functools.cache
def xlsxs() -> tuple[Original, ...]:
    book = openpyxl.Workbook()
    for row in (_COLUMNS, *_ROWS):
        book.active.append(row)
    book.active["D1"] = "day"
    book.active["D2"] = 3.5
    book.create_sheet("other").append(["x"])
    out = io.BytesIO()
    book.save(out)
    members = unzipped(out.getvalue())
    core = "docProps/core.xml"
    members[core] = re.sub(rb"\d{4}-[-T:\d]+Z", b"2020-01-01T00:00:00Z", members[core])
    return (
        Original("workbook", zipped(members)),
        Original("of Excel", zipped(_shared(members))),
    )


def _shared(members: dict[str, bytes]) -> dict[str, bytes]:
    """Uses shared strings, as Excel does; openpyxl writes strings in the cells."""
    texts: list[bytes] = []

    def share(found) -> bytes:
        texts.append(found[1])
        return b't="s"><v>%d</v></c>' % (len(texts) - 1)

    cell = rb't="inlineStr"><is><t>(.*?)</t></is></c>'
    types = "[Content_Types].xml"
    made = {_SHEET: re.sub(cell, share, members[_SHEET])}
    items = b"".join(b"<si><t>%s</t></si>" % text for text in texts)
    space = b"http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    made[_STRINGS] = b'<sst xmlns="%s">%s</sst>' % (space, items)
    kind = b"application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings"
    entry = b'<Override PartName="/%s" ContentType="%s+xml"/></Types>'
    name = _STRINGS.encode()
    made[types] = members[types].replace(b"</Types>", entry % (name, kind))
    return {**members, **made}


def unzipped(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(members: dict[str, bytes]) -> bytes:
    """A reproducible archive with correct checksums."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return out.getvalue()


# name: (member, old, new); the old one is replaced once.
_XML = {
    "string out of range": (_SHEET, b"<v>5</v>", b"<v>99999</v>"),
    "string below zero": (_SHEET, b"<v>5</v>", b"<v>-1</v>"),
    "string not a number": (_SHEET, b"<v>5</v>", b"<v>abc</v>"),
    "no value": (_SHEET, b"<v>5</v>", b""),
    "type unknown": (_SHEET, b't="s"', b't="zz"'),
    "error cell": (_SHEET, b't="s"', b't="e"'),
    "date cell": (_SHEET, b't="s"', b't="d"'),
    "number too large": (_SHEET, b"<v>3.5</v>", b"<v>1e999</v>"),
    "number not one": (_SHEET, b"<v>3.5</v>", b"<v>3,5</v>"),
    "reference wrong": (_SHEET, b'r="A2"', b'r="??"'),
    "reference far": (_SHEET, b'r="D2"', b'r="XFD2"'),
    "reference beyond": (_SHEET, b'r="D2"', b'r="ZZZZ2"'),
    "row last": (_SHEET, b'r="61"', b'r="1048576"'),
    "row beyond": (_SHEET, b'r="61"', b'r="99999999"'),
    "row not a number": (_SHEET, b'row r="61"', b'row r="x"'),
    "dimension large": (_SHEET, b"A1:D61", b"A1:XFD1048576"),
    "dimension wrong": (_SHEET, b"A1:D61", b"zz"),
    "tag not closed": (_SHEET, b"</row>", b""),
    "style out of range": (_SHEET, b't="s"', b't="s" s="9999"'),
    "entities": (
        _STRINGS,
        b"<sst",
        b'<!DOCTYPE z [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]><sst',
    ),
    "sheet missing in the list": ("xl/workbook.xml", b'sheetId="1"', b'sheetId="x"'),
    "relation wrong": ("xl/_rels/workbook.xml.rels", b"sheet1.xml", b"sheet7.xml"),
    "relation outside": (
        "xl/_rels/workbook.xml.rels",
        b"/xl/worksheets/sheet1.xml",
        b"../../../../etc/passwd",
    ),
    "content type": ("[Content_Types].xml", b"sheet.main", b"sheet.other"),
    "encoding": (
        _SHEET,
        b"<worksheet",
        b'<?xml version="1.0" encoding="zz"?><worksheet',
    ),
}


def mutate_xlsx(rng, index: int) -> Case:
    original = xlsxs()[index]
    how = rng.random()
    if how < 0.05:
        return mutations.no_file(rng, original)
    if how < 0.4:
        return mutations.damage(rng, xlsxs(), index, lengths="any", hole_demand="any")
    members = unzipped(original.data)
    if how < 0.7 and original.name == "of Excel":
        family = pick(rng, list(_XML))
        name, old, new = _XML[family]
        members[name] = members[name].replace(old, new, 1)
    elif how < 0.72:
        return Case(original.name, "unpacks to 400 MB", _bomb(), "any")
    else:
        name = pick(rng, sorted(members))
        options = [*mutations.LENGTHS, "flip", "missing", "empty"]
        family = f"member: {pick(rng, options)}"
        change = family.removeprefix("member: ")
        if change == "missing":
            del members[name]
        elif change == "empty":
            members[name] = b""
        elif change == "flip":
            members[name] = mutations.flip(rng, members[name])
        else:
            members[name] = mutations.LENGTHS[change](rng, members[name])
    return Case(original.name, family, zipped(members), "any")


@functools.cache
def _bomb() -> bytes:
    members = unzipped(xlsxs()[1].data)
    text = b"<t>" + b" " * (400 << 20) + b"</t>"
    members[_STRINGS] = members[_STRINGS].replace(b"<t>P000</t>", text, 1)
    return zipped(members)


def _place(name: str):
    return lambda folder, case: mutations.place(folder / name, case)


def _read(function):
    def read(path: Path) -> Reading:
        return Reading(function(path, ("patientid", "finding")))

    return read


CSV = Kind(csvs, mutate_csv, _place("table.csv"), _read(read_csv))
XLSX = Kind(xlsxs, mutate_xlsx, _place("table.xlsx"), _read(read_xlsx))
