"""The account of a build: examples, notes, warnings and what was rejected."""

import json
import pickle
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfds_builders.common.build.identity import pictures_digest
from tfds_builders.common.build.ingest import (
    Example,
    Films,
    Rejected,
    attempted,
    settle,
    shards,
    too_many,
    write_rejected,
)
from tfds_builders.common.build.parallel import Workers
from tfds_builders.common.errors import InputError
from tfds_builders.common.splits import fold_of

# The examples here have no pictures.
NO_PICTURES = pictures_digest({})


class Item(NamedTuple):
    name: str
    path: Path


def read(item):
    number = int(item.name)
    if number % 3 == 2:
        raise InputError(item.path, "no picture", "Copy it again.")
    return Example(
        {"number": number},
        notes=("images_coloured",) * (number % 2 == 0)
        + ("paths_name_patient",) * (number == 7),
    )


def films(folder, numbers, max_rejected=100, **others):
    items = [Item(str(k), Path(f"/release/{k}.png")) for k in numbers]
    patients = {item.name: f"p{item.name}" for item in items}
    return Films(items, patients, read, folder / "account", max_rejected, **others)


def copied(examples):
    """As a writer takes them: an example is empty once the next one is asked for."""
    return [(name, dict(example)) for name, example in examples]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 200), st.integers(1, 40))
def test_files_hold_everything_once_and_evenly(count, largest):
    files = shards(list(range(count)), largest)
    assert list(chain(*files)) == list(range(count))
    assert len(files) == -(-count // largest)
    if files:
        lengths = [len(file) for file in files]
        assert max(lengths) <= largest
        assert max(lengths) - min(lengths) <= 1


@pytest.mark.parametrize("processes", [None, 0, 2])
def test_account(tmp_path, processes):
    seen = []
    if processes is None:
        some = films(tmp_path, range(9), progress=seen.append)
        stored = copied(some())
    else:
        with Workers(processes) as workers:
            some = films(tmp_path, range(9), workers=workers, progress=seen.append)
            stored = copied(some())
    assert stored == [
        (
            str(k),
            {
                "number": k,
                "example_id": str(k),
                "patient_id": f"p{k}",
                "fold": fold_of(f"p{k}"),
            },
        )
        for k in (0, 1, 3, 4, 6, 7)
    ]
    assert seen == [0, 0, 1, 1, 1, 2, 2, 2, 3]
    total = settle([some.account])
    assert dict(total.notes) == {"images_coloured": 3}
    assert dict(total.warnings) == {"paths_name_patient": 1}
    assert total.rejected == [
        Rejected(str(k), f"/release/{k}.png", "no picture", "Copy it again.")
        for k in (2, 5, 8)
    ]
    assert not some.account.exists()


def test_films_travel(tmp_path):
    # To a machine of Beam's.
    some = pickle.loads(pickle.dumps(films(tmp_path, range(4))))
    assert [name for name, _ in some()] == ["0", "1", "3"]


def test_reading_stops_once_the_list_is_long_enough(tmp_path):
    asked = []

    def no_picture(item):
        asked.append(item)
        raise InputError(item.path, "no picture", "Copy it again.")

    some = films(tmp_path, range(1000), max_rejected=3)._replace(read=no_picture)
    with pytest.raises(InputError) as error:
        list(some())
    assert len(asked) == 24
    assert error.value.where == "24 or more files cannot be read"
    assert "--max_rejected allows 3\n" in str(error.value)
    assert "/release/19.png: no picture" in str(error.value)
    assert "and 4 more" in str(error.value)


def test_accounts_add_up(tmp_path):
    parts = [films(tmp_path, numbers) for numbers in (range(4, 9), range(4))]
    paths = []
    for k, part in enumerate(parts):
        paths.append(tmp_path / f"account-{k}")
        list(part._replace(account=paths[-1])())
    total = settle(paths)
    assert [row.name for row in total.rejected] == ["2", "5", "8"]
    assert dict(total.notes) == {"images_coloured": 3}  # 0, 4, 6


def test_disk_errors_of_one_file_are_its_own(tmp_path):
    item = Item("a", tmp_path / "a.png")
    found = attempted(lambda item: item.path.read_bytes(), item)
    assert found[:3] == ("a", str(item.path), "No such file or directory")
    assert "link" in found.hint
    with pytest.raises(ZeroDivisionError):  # ours, not the file's
        attempted(lambda item: 1 / 0, item)


def test_rejected_csv(tmp_path):
    rows = [
        Rejected("a", "/release/x, y/a.png", 'says "no"', "Copy it."),
        Rejected("b", "/elsewhere/b.png", "empty"),
        Rejected("c", "/release/=HYPERLINK(1).png", "-1 pages", "+"),
        Rejected("d", "/release/\x1b[2Jd\n.png", "\x07"),
    ]
    write_rejected(tmp_path, rows, Path("/release"))
    assert (tmp_path / "rejected.csv").read_text() == (
        "path,reason,advice\n"
        '"x, y/a.png","says ""no""",Copy it.\n/elsewhere/b.png,empty,\n'
        "'=HYPERLINK(1).png,'-1 pages,'+\n"
        '"\\x1b[2Jd\n.png",\\x07,\n'
    )


def test_files_are_grouped_by_what_to_do_about_them():
    rejected = [
        Rejected(f"{k}", f"/r/{k}.dcm", f"JPEG 2000 of {k} bytes", "pip install it")
        for k in range(30)
    ] + [Rejected("a", "/r/a.png", "empty", "Copy it again.")]
    lines = str(too_many(rejected, 3)).splitlines()
    install, again = (
        lines.index("     -> pip install it"),
        lines.index("     -> Copy it again."),
    )
    assert "/r/a.png: empty" in lines[again - 1]
    assert "and 20 more" in lines[install - 1]  # ten of each of the two groups
    assert install < again  # the larger group comes first
    assert "--max_rejected=31" in lines[-1]


def test_account_is_json(tmp_path):
    some = films(tmp_path, range(3))
    list(some())
    assert json.loads(some.account.read_text()) == [
        {"images_coloured": 1},
        {},
        [["2", "/release/2.png", "no picture", "Copy it again."]],
        {"0": NO_PICTURES, "1": NO_PICTURES},
    ]
