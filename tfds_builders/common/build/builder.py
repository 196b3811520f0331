"""What all builders share: a release is planned, then read; TFDS does the rest."""

import abc
import collections
import functools
import hashlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import tensorflow_datasets as tfds

from tfds_builders.common import card, files, places
from tfds_builders.common.build import columns, disk, identity, ingest, release
from tfds_builders.common.build.example_writer import ExampleWriter
from tfds_builders.common.build.parallel import Workers
from tfds_builders.common.build.progress import Progress, progress_bar
from tfds_builders.common.counts import checked
from tfds_builders.common.dicom.radiograph import POLARITIES
from tfds_builders.common.duplicates.fingerprints import fingerprint
from tfds_builders.common.duplicates.pairs import groups
from tfds_builders.common.errors import InputError
from tfds_builders.common.images import read_grey
from tfds_builders.common.patient_names import Candidate
from tfds_builders.common.patients import find_patients
from tfds_builders.common.splits import SPLITS
from tfds_builders.common.text import csv_text

places.allow_owners_without_name()

SKIPPED = "skipped.csv"


class Options(NamedTuple):
    """How to read a release; only `polarity` and `patients_from` change the dataset.

    Attributes:
      num_workers: processes that decode; 0 are threads of this one.
      max_rejected: number of unreadable files to allow.
      polarity: which is obeyed where DICOM pixels contradict the header.
      patients_from: pattern of the patient in the path of a file, of image_folder.
      beam_runner, beam_options: of Apache Beam, for more than one machine.
    """

    num_workers: int = 0
    max_rejected: int = 0
    polarity: str = POLARITIES[0]
    patients_from: str = ""
    beam_runner: Any = None
    beam_options: Any = None


class Plan(NamedTuple):
    """What to read, decided from tables and file names.

    Attributes:
      release: its version.
      parts: {split: items}, each item with `name` (the example_id), `path` and
        whatever `read` and `columns` want; of `splits.by_split`.
      patient_of: {name: patient_id}.
      unit: what a patient_id stands for: 'patients', 'images', 'near-duplicate
        groups'.
      read: item -> ingest.Example; a function of a module, or a `partial` of one, so
        that it can be sent to another process. Raises InputError for a file that
        cannot be read.
      columns: items of a split -> {column: number} of the summary, besides the images
        and patients.
      counts: {key: number} of what did not fit together; keys of counts.COUNTS.
      skipped: (path in the release, kind) of the files that are not images, where the
        release does not say which files belong to it.
      suggested: how patients might be known, where they are not.
    """

    release: str
    parts: dict[str, list]
    patient_of: dict[str, str]
    unit: str
    read: Callable[[Any], ingest.Example]
    columns: Callable[[list], dict[str, float]]
    counts: dict[str, int]
    skipped: Sequence[tuple[str, str]] = ()
    suggested: Sequence[Candidate] = ()


class ReleaseBuilder(tfds.core.ShardBasedBuilder, skip_registration=True):
    """TFDS builder of a release that the user has on disk.

    A builder defines what its release looks like (`EXPECTED`, `is_release`), what is
    stored (`features`) and what is read (`plan`).
    """

    EXPECTED: ClassVar[str]  # what the release's folder is, for messages
    SUPERVISED: ClassVar[tuple[str, str] | None] = ("image", "label")

    # Set by build.py: the user's flags, and whether to show progress.
    options = Options()
    quiet = True

    def __init__(self, *, file_format="array_record", **kwargs):
        # The only format of TFDS that is written and read without TensorFlow.
        super().__init__(file_format=file_format, **kwargs)

    @staticmethod
    @abc.abstractmethod
    def is_release(folder: Path) -> bool:
        """Whether a folder is the release's own."""

    @abc.abstractmethod
    def features(self) -> dict[str, Any]:
        """The features besides `example_id`, `patient_id` and `fold`."""

    @abc.abstractmethod
    def plan(self, release: Path) -> Plan:
        """What to read. Errors: InputError for an incomplete release."""

    def _info(self) -> tfds.core.DatasetInfo:
        shared = {
            "example_id": tfds.features.Text(),
            "patient_id": tfds.features.Text(),
            "fold": np.int32,
        }
        info = self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict({**self.features(), **shared}),
            supervised_keys=self.SUPERVISED,
            homepage=card.load(self.name).url,
            metadata=tfds.core.MetadataDict(),
        )
        # It would leave an empty folder in the folder of temporary files, to ask a
        # server that knows nothing of these datasets.
        info.initialize_from_bucket = _nothing
        return info

    def find_release(self, manual_dir: Path) -> Path:
        """The release's own folder."""
        return release.find_release(
            manual_dir,
            self.is_release,
            self.EXPECTED,
            f"See 'Getting the data' in tfds_builders/{self.name}/README.md.",
        )

    def near_duplicates(self, items: list, pixels: Callable | None = None):
        """Near-duplicate group of each item, over the whole release.

        Args:
          items: each with `name` and `path`.
          pixels: item -> grey pixels; picklable; by default of its PNG or JPEG.

        Returns: {name: group}. An item that cannot be read is a group of its own.
        """
        prints = list(
            self._in_order(
                functools.partial(_fingerprint, pixels or _grey),
                items,
                "finding near-duplicates",
            )
        )
        readable = [
            k for k, found in enumerate(prints) if isinstance(found, np.ndarray)
        ]
        group_of = {item.name: item.name for item in items}
        if readable:
            names = [items[k].name for k in readable]
            stacked = np.stack([prints[k] for k in readable])
            group_of |= zip(names, groups(names, stacked), strict=True)
        return group_of

    def _in_order(self, function, items, text):
        attempt = functools.partial(ingest.attempted, function)
        bar = progress_bar(self.quiet, len(items), text)
        with bar:
            for result in self._workers.in_order(attempt, items, ingest.crashed):
                bar.update()
                yield result

    def _download_and_prepare(self, dl_manager, download_config=None) -> None:
        # Explained here, too, while what filled the disk is still there.
        with (
            disk.disk_errors(self),
            Workers(self.options.num_workers) as self._workers,
        ):
            super()._download_and_prepare(dl_manager, download_config)
        for path in Path(self.data_path).glob("*.shard_infos.json"):
            path.unlink()  # Beam's notes
        account = ingest.settle(self._accounts)
        if len(account.rejected) > self.options.max_rejected:
            raise ingest.too_many(account.rejected, self.options.max_rejected)
        self._remove_empty_splits()
        self._describe(account)
        if account.rejected:
            ingest.write_rejected(self.data_path, account.rejected, self._release)
        if self._plan.skipped:
            rows = [("path", "kind"), *self._plan.skipped]
            files.write_text(Path(self.data_path) / SKIPPED, csv_text(rows))

    def _shard_iterators_per_split(self, dl_manager):
        self._release = self.find_release(dl_manager.manual_dir)
        self._plan = self.plan(self._release)
        checked(self._plan.counts)
        if not any(self._plan.parts.values()):
            raise InputError(
                self._release, "holds no image of this dataset", "Unpack it again."
            )
        self._accounts = []
        return {
            split: self._films(split, part)
            for split, part in self._plan.parts.items()
            if part  # TFDS cannot store an empty split
        }

    def _example_writer(self) -> ExampleWriter:
        return ExampleWriter(file_format=self.info.file_format)

    def _films(self, split, items) -> list[ingest.Films]:
        local = self.options.beam_runner is None
        films = []
        progress = Progress(self.quiet, len(items), split) if local else None
        for k, some in enumerate(ingest.shards(items)):
            account = Path(self.data_path) / f".account-{split}-{k}.json"
            self._accounts.append(account)
            films.append(
                ingest.Films(
                    some,
                    {item.name: self._plan.patient_of[item.name] for item in some},
                    self._plan.read,
                    account,
                    self.options.max_rejected,
                    self._workers if local else None,
                    progress,
                )
            )
        return films

    def _describe(self, account: ingest.Account) -> None:
        """Describe in the metadata what the dataset holds, and what was wrong."""
        plan = self._plan
        gone = {row.name for row in account.rejected}
        rejected = collections.Counter()
        splits = {}
        for split in SPLITS:
            items = [item for item in plan.parts[split] if item.name not in gone]
            rejected[split] = len(plan.parts[split]) - len(items)
            splits[split] = {
                "images": len(items),
                # May be the images themselves.
                plan.unit: len({plan.patient_of[item.name] for item in items}),
                **plan.columns(items),
            }
        self.info.metadata.update(
            synthetic=release.is_synthetic(self._release),
            release=plan.release,
            unit=plan.unit,
            polarity=self.options.polarity,
            patients_csv=patients_digest(self._release),
            patients_from=self.options.patients_from,
            patients_suggested=[list(row) for row in plan.suggested],
            splits=splits,
            pixels={
                split: identity.split_digest(
                    account.pixels,
                    (i.name for i in plan.parts[split] if i.name not in gone),
                )
                for split in SPLITS
            },
            shards=identity.shards(Path(self.data_path)),
            columns=columns.write(self),
            counts={
                **plan.counts,
                **dict(sorted(account.notes.items())),
                "files_unreadable": len(gone),
            },
            warnings=dict(sorted(account.warnings.items())),
        )

    def _remove_empty_splits(self) -> None:
        """Remove a split of which every file was rejected: TFDS cannot read it."""
        kept = []
        for split, info in self.info.splits.items():
            if info.num_examples:
                kept.append(info)
                if 0 in info.shard_lengths:
                    raise InputError(
                        self._release,
                        f"a whole shard of {split} has no readable file",
                        "The release is damaged: copy or unpack it again.",
                    )
            else:
                for path in info.filepaths:
                    Path(path).unlink()
        if not kept:
            raise InputError(
                self._release,
                "none of its images can be read",
                "The release is damaged: copy or unpack it again.",
            )
        self.info.set_splits(tfds.core.splits.SplitDict(kept))


def by_class(classes: Iterable[str], items: Iterable) -> dict[str, int]:
    """Number of items with each `label`, for `Plan.columns`."""
    labels = collections.Counter(item.label for item in items)
    return {label: labels[label] for label in classes}


def by_class_and_source(classes: Iterable[str], items: list) -> dict[str, int]:
    """`by_class`, and the number of sources of each class; 1 is a shortcut."""
    sources = collections.defaultdict(set)
    for item in items:
        sources[item.label].add(item.source)
    return {
        **by_class(classes, items),
        **{f"sources of {label}": len(sources[label] - {""}) for label in classes},
    }


def _nothing() -> None:
    pass


def _grey(item) -> np.ndarray:
    return read_grey(item.path).pixels


def _fingerprint(pixels, item) -> np.ndarray:
    return fingerprint(pixels(item))


def patients_digest(release: Path) -> str:
    """Hash of patients.csv, to notice a change; '' without one."""
    path = find_patients(release)
    return "" if path is None else hashlib.sha256(path.read_bytes()).hexdigest()
