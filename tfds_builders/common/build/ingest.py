"""From the files of a release to examples, and an account of what was wrong."""

import collections
import functools
import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tfds_builders.common import files
from tfds_builders.common.build.identity import pictures_digest
from tfds_builders.common.build.parallel import Workers
from tfds_builders.common.counts import checked, warns
from tfds_builders.common.errors import InputError
from tfds_builders.common.splits import fold_of
from tfds_builders.common.text import csv_text

REJECTED = "rejected.csv"
_IMAGES_PER_FILE = 512
# Stop reading once this many more files than allowed cannot be read.
_LISTED = 20


_HINTS = {
    PermissionError: "Get permission to read the file, or copy it as its owner.",
    FileNotFoundError: "Remove the broken link, or copy the file that it points to.",
}


class Example(NamedTuple):
    """The features of one file, and what to count about it."""

    features: dict[str, Any]
    notes: tuple[str, ...] = ()  # keys of counts.COUNTS

    @property
    def warnings(self) -> tuple[str, ...]:
        """The notes that are printed as warnings."""
        return tuple(key for key in self.notes if warns(key))


class Rejected(NamedTuple):
    """A file that cannot be read, why, and what to do about it."""

    name: str
    path: str
    reason: str
    hint: str = ""


class Account(NamedTuple):
    """What was counted and rejected while reading some files.

    `pixels` has the digest of the pictures of every example that was stored.
    """

    notes: collections.Counter
    warnings: collections.Counter
    rejected: list[Rejected]
    pixels: dict[str, str]


def new_account() -> Account:
    """With nothing in it."""
    return Account(collections.Counter(), collections.Counter(), [], {})


class Films(NamedTuple):
    """The films of one file of the dataset; TFDS calls it for their examples.

    It can be pickled, so that another machine may do the reading.

    Attributes:
      items: each with `name` and `path`.
      patient_of: of these items.
      read: item -> Example; raises InputError for a file that cannot be read.
      account: the file to write the account into.
      max_rejected: more rejected files than this end the build.
      workers: None to read one file after the other, in this process.
      progress: called with the number of rejected files after each film, if given.
    """

    items: list
    patient_of: dict[str, str]
    read: Callable[[Any], Example]
    account: Path
    max_rejected: int
    workers: Workers | None = None
    progress: Callable[[int], None] | None = None

    def __call__(self) -> Iterator[tuple[str, dict[str, Any]]]:
        account = new_account()
        attempt = functools.partial(
            attempted, functools.partial(_with_digest, self.read)
        )
        if self.workers is None:
            results: Iterable = map(attempt, self.items)
        else:
            results = self.workers.in_order(attempt, self.items, crashed)
        for item, result in zip(self.items, results, strict=True):
            if isinstance(result, Rejected):
                account.rejected.append(result)
                if len(account.rejected) > self.max_rejected + _LISTED:
                    raise too_many(account.rejected, self.max_rejected, more=True)
            else:
                found, account.pixels[item.name] = result
                checked(collections.Counter(found.notes))
                account.warnings.update(found.warnings)
                account.notes.update(k for k in found.notes if not warns(k))
                example = self._complete(item.name, found.features)
                yield item.name, example
                # TFDS keeps the examples of a whole file to count them; without this
                # the images would stay in memory.
                example.clear()
            if self.progress:
                self.progress(len(account.rejected))
        files.write_text(self.account, json.dumps(account))

    def _complete(self, name: str, features: dict[str, Any]) -> dict[str, Any]:
        patient = self.patient_of[name]
        return {
            **features,
            "example_id": name,
            "patient_id": patient,
            "fold": fold_of(patient),
        }


def _with_digest(read: Callable, item) -> tuple[Example, str]:
    example = read(item)
    return example, pictures_digest(example.features)


def attempted(function: Callable, item) -> Any:
    """function(item), or Rejected if its file cannot be read."""
    try:
        return function(item)
    except InputError as error:
        # The path has a column of its own.
        return Rejected(item.name, str(item.path), error.found, error.hint)
    except OSError as error:
        reason = error.strerror or str(error)
        hint = _HINTS.get(type(error), "Check the disk, or copy the file again.")
        return Rejected(item.name, str(item.path), reason, hint)


def crashed(item) -> Rejected:
    """The rejection of a file whose decoder crashed its process."""
    hint = "Leave the file out; it may be damaged, or its decoder out of memory."
    return Rejected(item.name, str(item.path), "its decoder crashed", hint)


def shards(items: list, largest: int = _IMAGES_PER_FILE) -> list[list]:
    """Runs of items, one for each file; they differ in length by one at most.

    TFDS's usual builder shuffles a split in memory up to 1 GB and beyond that through
    TensorFlow's file layer; a full BrixIA release is larger. Its ShardBasedBuilder
    writes file by file in the given order, so the builders here use that one.
    """
    number = -(-len(items) // largest)
    ends = [len(items) * i // number for i in range(number + 1)] if number else []
    return [items[start:end] for start, end in itertools.pairwise(ends)]


def settle(accounts: Iterable[Path]) -> Account:
    """Add up the accounts of all files of a dataset, and remove them."""
    total = new_account()
    for path in accounts:
        notes, warnings, rejected, pixels = json.loads(path.read_text())
        total.notes.update(notes)
        total.warnings.update(warnings)
        total.rejected.extend(Rejected(*row) for row in rejected)
        total.pixels.update(pixels)
        path.unlink()
    total.rejected.sort()
    return total


def too_many(rejected: list[Rejected], allowed: int, more: bool = False) -> InputError:
    """The error that ends a build: rejected files grouped by what to do about them."""
    count = f"{len(rejected)}{' or more' if more else ''}"
    groups = collections.defaultdict(list)
    for row in rejected:
        groups[row.hint].append(row)
    largest_first = sorted(groups.items(), key=lambda group: -len(group[1]))
    each = max(_LISTED // len(groups), 2)
    listed = "\n".join(_group(hint, rows, each) for hint, rows in largest_first)
    return InputError(
        f"{count} files cannot be read",
        f"--max_rejected allows {allowed}\n{listed}",
        "Do what is said under the files; or leave them out of the dataset and list "
        f"them in {REJECTED}: --max_rejected={len(rejected)}{' or more' if more else ''}",
    )


def _group(hint: str, rows: list[Rejected], listed: int) -> str:
    lines = [f"     {row.path}: {row.reason}" for row in rows[:listed]]
    if len(rows) > listed:
        lines.append(f"     and {len(rows) - listed} more")
    return "\n".join([*lines, f"     -> {hint}" if hint else ""]).rstrip()


def write_rejected(folder: Path, rejected: list[Rejected], release: Path) -> None:
    """Write rejected.csv (path within the release, reason, advice) into a folder."""
    rows = [("path", "reason", "advice")]
    for row in rejected:
        path = Path(row.path)
        inside = path.relative_to(release) if path.is_relative_to(release) else path
        rows.append((inside.as_posix(), row.reason, row.hint))
    files.write_text(Path(folder) / REJECTED, csv_text(rows))
