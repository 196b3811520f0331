import csv
import io
import zipfile

import numpy as np
import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfds_builders.common.errors import InputError
from tfds_builders.common.tables import first, read_csv, read_xlsx, refuse


def write(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("separator", [",", ";"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_separators_newlines_and_byte_order_mark(
    tmp_path, separator, newline, encoding
):
    lines = [("Name", "Score"), ("18342800466583842734.dcm", "000001"), ("b", "")]
    text = newline.join(separator.join(line) for line in lines)
    path = write(tmp_path / "a.csv", text, encoding)
    assert read_csv(path, ["Score", "Name"]) == [
        {"Name": "18342800466583842734.dcm", "Score": "000001"},
        {"Name": "b", "Score": ""},
    ]


def test_columns_are_found_by_name(tmp_path):
    one = write(tmp_path / "v1.csv", "Sex,Age\nM,3\n")
    two = write(tmp_path / "v2.csv", "Age;Sex\n3;M\n")
    assert read_csv(one, ["Sex", "Age"]) == read_csv(two, ["Sex", "Age"])


cells = st.text(
    st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=8
)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(cells, cells), min_size=1, max_size=5),
    st.sampled_from([",", ";"]),
)
def test_reads_what_the_csv_module_writes(tmp_path_factory, rows, separator):
    out = io.StringIO()
    csv.writer(out, delimiter=separator).writerows([("Name", "Severity"), *rows])
    path = write(tmp_path_factory.mktemp("csv") / "a.csv", out.getvalue())
    read = read_csv(path, ["Name", "Severity"])
    assert [(row["Name"], row["Severity"]) for row in read] == rows


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"Name\tSeverity\na\tMILD\n", ["Name\\tSeverity", "missing: Name, Severity"]),
        (b"name,severity\na,MILD\n", ["'name', 'severity'", "missing: Name, Severity"]),
        (b"Name,Severity\na,MILD,x\n", ["line 2", "3 cells under 2 columns"]),
        (b"Name,Severity,Name\na,MILD,b\n", ["more than once: Name"]),
        (b"Name,Severity\n", ["no rows"]),
        (b"", ["no rows"]),
        ("Name,Severity\na,MÄßIG".encode("latin-1"), ["not UTF-8"]),
        (b"\xff\xfeN\0a\0", ["not UTF-8"]),
    ],
)
def test_unusable_csv(tmp_path, content, words):
    path = tmp_path / "severity.csv"
    path.write_bytes(content)
    with pytest.raises(InputError) as error:
        read_csv(path, ["Name", "Severity"])
    for word in [str(path), *words]:
        assert word in str(error.value)


def test_missing_csv(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_csv(tmp_path / "none.csv", ["Name"])


def workbook(path, rows, sheets=("Sheet1", "Other")):
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title in sheets:
        sheet = book.create_sheet(title)
        for row in rows if title == sheets[0] else [("not", "this")]:
            sheet.append(row)
    book.save(path)
    return path


def test_xlsx_first_sheet_as_strings(tmp_path):
    rows = [("FILE NAME", "SIZE", None), ("NORMAL-1", 256), (None, None), (7, None)]
    path = workbook(tmp_path / "a.xlsx", rows)
    assert read_xlsx(path, ["FILE NAME"]) == [
        {"FILE NAME": "NORMAL-1", "SIZE": "256"},
        {"FILE NAME": "7", "SIZE": ""},
    ]


def test_unusable_xlsx(tmp_path):
    path = workbook(tmp_path / "a.xlsx", [("Name", "Link"), ("a", "b")])
    with pytest.raises(InputError, match="'Name', 'Link'; missing: FILE NAME, URL"):
        read_xlsx(path, ["FILE NAME", "URL"])
    truncated = tmp_path / "b.xlsx"
    truncated.write_bytes(path.read_bytes()[:900])
    with pytest.raises(InputError, match="b.xlsx"):
        read_xlsx(truncated, ["FILE NAME"])


def test_damaged_xlsx_is_read_or_refused_by_name(tmp_path):
    """400 workbooks: bytes changed, parts cut, in the archive or in its members."""
    rows = [("FILE NAME", "n"), *((f"a-{i}", i) for i in range(40))]
    whole = workbook(tmp_path / "a.xlsx", rows).read_bytes()
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    rng = np.random.default_rng(0)

    def damaged(data):
        at = int(rng.integers(len(data)))
        end = min(len(data), at + int(rng.integers(1, 60)))
        return (
            data[:at] + rng.bytes(end - at) + data[end:],
            data[:at] + data[end:],
            data[:at],
            data[:end] + data[at:],
        )[int(rng.integers(4))]

    path, refused = tmp_path / "b.xlsx", 0
    for number in range(400):
        if number % 2:
            path.write_bytes(damaged(whole))
        else:
            name = sorted(members)[number // 2 % len(members)]
            out = io.BytesIO()
            with zipfile.ZipFile(out, "w") as archive:
                for member, data in members.items():
                    archive.writestr(member, damaged(data) if member == name else data)
            path.write_bytes(out.getvalue())
        try:
            read_xlsx(path, ["FILE NAME"])
        except InputError as error:
            assert str(path) in str(error)
            refused += 1
    assert refused > 200


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"A1:B41", b"A1:XFD1048576"),  # a size that fills memory, if believed
        (b'<row r="41"', b'<row r="1048576"'),
    ],
)
def test_xlsx_that_claims_to_be_large(tmp_path, old, new):
    rows = [("FILE NAME", "n"), *((f"a-{i}", i) for i in range(40))]
    path = workbook(tmp_path / "a.xlsx", rows)
    expected = read_xlsx(path, ["FILE NAME"])
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    sheet = "xl/worksheets/sheet1.xml"
    assert old in members[sheet]
    members[sheet] = members[sheet].replace(old, new)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    assert read_xlsx(path, ["FILE NAME"]) == expected


def test_refuse_counts_and_shows_the_first():
    refuse("file", [], "rows are wrong", "mend them")
    names = [f"n{i}" for i in range(7)]
    with pytest.raises(InputError) as error:
        refuse("file", names, "rows are wrong", "mend them")
    assert "7 rows are wrong: n0, n1, n2, n3, n4 and 2 more" in str(error.value)
    assert first(names[:5]) == "n0, n1, n2, n3, n4"
