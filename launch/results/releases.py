"""The datasets of the rows: found, prepared once, or the reason why not."""

from __future__ import annotations

import contextlib
import functools
import pathlib
import shutil
from collections.abc import Iterator

from cxr_jax.data import builders
from cxr_jax.devices.terminal import say
from tfds_builders import build as build_lib
from tfds_builders.common import files
from tfds_builders.common.build.builder import Options
from tfds_builders.common.errors import InputError
from tfds_builders.common.lock import locked
from tfds_builders.common.tables import read_csv
from tfds_builders.common.text import csv_text

from . import sources

# What the folder of a release is called, where it lies beside others.
_FOLDERS = {
    "brixia": "BrixIA",
    "brixia_public": "Brixia-score-COVID-19",
    "covid_chestxray": sources.COHEN,
    "covid_radiography": "COVID-19_Radiography_Dataset",
    "covidgr": "COVIDGR_1.0",
    "image_folder": "chest_xray",  # Kermany's films of children
}
# Where the patient is in the names of those films.
_KERMANY = r"/(person\d+)_|/(?:NORMAL2-)?(IM-\d+)-"
# A list of the sources of a collection of samples, with the patient of every film.
_MANIFEST = "MANIFEST.csv"
_PATIENTS = "patients.csv"


class Releases:
    """Prepared datasets, each found or built when it is first asked for.

    Args:
      data: a folder that holds releases, or None.
      prepared: where datasets of the user are prepared, or None.
      out: where others are.
    """

    def __init__(
        self,
        data: pathlib.Path | None,
        prepared: pathlib.Path | None,
        out: pathlib.Path,
    ):
        self.data, self._prepared, self._out = data, prepared, out

    @functools.cache  # noqa: B019, one of these lives as long as the program
    def folder(self, dataset: str) -> pathlib.Path:
        """The data_dir that holds 'covidgr/512'.

        Raises:
          InputError: it is neither prepared nor can it be; says how to get it.
        """
        if (place := self._there(dataset)) is not None:
            return place
        name = dataset.partition("/")[0]
        release = self._release(dataset)
        with self._alone():
            release = _with_patients(release, self._out / "releases" / name)
        named = _KERMANY if name == "image_folder" else ""
        build_lib.build(
            dataset,
            release,
            self._out / "data",
            quiet=True,
            options=Options(patients_from=named),
        )
        return self._out / "data"

    def require(self, dataset: str) -> None:
        """Raises InputError where `folder` would, but prepares nothing."""
        if self._there(dataset) is None:
            self._release(dataset)

    def check_films(self, dataset: str, least: int) -> None:
        """Raises InputError where a dataset is a sample, and all of it is needed."""
        builder = builders.open_builder(dataset, str(self.folder(dataset)))
        found = sum(split.num_examples for split in builder.info.splits.values())
        if found < least:
            raise InputError(
                dataset,
                f"a sample of {found:,} films; the release has {least:,} or more",
                f"tfds_builders/{builder.name}/README.md says how to get it",
            )

    @functools.cache  # noqa: B019
    def tree(self, name: str) -> pathlib.Path:
        """The data_dir of image_folder/256 of one folder of `sources`.

        Raises:
          InputError: Cohen's collection is not there.
        """
        trees = self._out / "trees"
        with self._alone():
            if not trees.is_dir():
                if self.data is None:
                    raise _not_given(sources.COHEN)
                sources.write(self.data, trees)
        options = Options(patients_from=sources.PATIENTS_FROM)
        place = self._out / "data" / name
        build_lib.build(
            "image_folder/256", trees / name, place, quiet=True, options=options
        )
        return place

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Of two processes with one folder, one prepares and the other waits."""
        with files.explained(self._out):
            self._out.mkdir(parents=True, exist_ok=True)
        with locked(self._out / ".lock", lambda: say(f"waiting for {self._out}")):
            yield

    def _there(self, dataset: str) -> pathlib.Path | None:
        """Where it is prepared; None if it is not."""
        for place in filter(None, (self._prepared, self._out / "data")):
            with contextlib.suppress(InputError):
                builders.open_builder(dataset, str(place))
                return place
        return None

    def _release(self, dataset: str) -> pathlib.Path:
        name = dataset.partition("/")[0]
        if self.data is None:
            raise _not_given(name)
        own = self.data / _FOLDERS.get(name, name)
        builder = build_lib.make_builder(dataset, self._out / "data")
        return builder.find_release(own if own.is_dir() else self.data)


def _not_given(name: str) -> InputError:
    return InputError(
        "--data",
        f"no folder is given that holds {name}",
        f"tfds_builders/{name}/README.md says how to get it; then make results "
        "DATA=FOLDER",
    )


def _with_patients(release: pathlib.Path, target: pathlib.Path) -> pathlib.Path:
    """The release, with the patients of a list beside it that names them.

    A sample may come with a list of its sources, of which the release itself has no
    column. The copy is made of links, and a table for the builder.
    """
    manifest = release.parent / _MANIFEST
    if (release / _PATIENTS).exists() or not manifest.is_file():
        return release
    rows = read_csv(manifest, ("layout", "path", "patient"))
    rows = [row for row in rows if row["layout"] == release.name]
    if not rows or not _takes_patients(release):
        return release
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for path in sorted(release.iterdir()):
        (target / path.name).symlink_to(path.absolute())
    listed = {pathlib.PurePath(row["path"]).stem: row["patient"] for row in rows}
    cells = [("example_id", "patient"), *sorted(listed.items())]
    files.write_text(target / _PATIENTS, csv_text(cells))
    return target


def _takes_patients(release: pathlib.Path) -> bool:
    return release.name in (_FOLDERS["covidgr"], _FOLDERS["covid_radiography"])
