r"""Build a dataset once, on your own machine, from the release that you downloaded.

    python -m tfds_builders.build NAME[/CONFIG] --manual_dir=DIR [--data_dir=DIR]

DIR of --manual_dir is the release's own folder or the folder that holds it. What each
dataset needs, and where to get it, is in tfds_builders/NAME/README.md. TensorFlow is
not needed, neither here nor for reading.
"""

import contextlib
import errno
import importlib
import io
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import tensorflow_datasets as tfds
from absl import app, flags, logging
from tqdm import tqdm

from tfds_builders.common.errors import InputError
from tfds_builders.common.release import is_synthetic

DATASETS = {
    "brixia": "tfds_builders.brixia.brixia_dataset_builder",
    "covidgr": "tfds_builders.covidgr.covidgr_dataset_builder",
    "covid_radiography": (
        "tfds_builders.covid_radiography.covid_radiography_dataset_builder"
    ),
}

# Full, over quota, larger than the file system's files may be, not ours to write.
_DISK_ERRORS = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EACCES,
    errno.EROFS,
)


def make_builder(name: str, data_dir: str | Path | None = None):
    """The TFDS builder of 'NAME' or 'NAME/CONFIG'; reads and writes nothing.

    Errors: InputError where there is no such dataset or config.
    """
    dataset, _, config = name.partition("/")
    if dataset not in DATASETS:
        raise InputError(
            name, "there is no such dataset", f"There are: {', '.join(DATASETS)}."
        )
    builder_class = importlib.import_module(DATASETS[dataset]).Builder
    configs = list(builder_class.builder_configs)
    if config and config not in configs:
        raise InputError(
            name,
            f"{dataset} has no config {config}",
            f"There are: {', '.join(f'{dataset}/{c}' for c in configs)}.",
        )
    data_dir = None if data_dir is None else Path(data_dir).expanduser().absolute()
    return builder_class(config=config or None, data_dir=data_dir)


def is_prepared(builder) -> bool:
    """Whether the dataset is complete on disk: TFDS names it so last of all.

    Errors: InputError where the folder is there, but was copied by halves.
    """
    if not builder.data_path.exists():
        return False
    if not (builder.data_path / "dataset_info.json").exists():
        raise InputError(
            builder.data_path,
            "a folder without dataset_info.json: an incomplete copy of a dataset",
            "Remove it, then copy or build it again.",
        )
    return True


def build(
    name: str,
    manual_dir: str | Path | None = None,
    data_dir: str | Path | None = None,
    quiet: bool = False,
):
    """Build 'NAME' or 'NAME/CONFIG' unless it is prepared already; returns its builder.

    The dataset appears under its name only when it is complete. A build that was
    killed leaves nothing but a folder that the next build removes; of two builds at
    once, the second waits for the first.

    Errors: InputError for anything wrong with the release, the flags or the disk.
    """
    builder = make_builder(name, data_dir)
    if is_prepared(builder):
        return _same_kind(builder, manual_dir)
    if manual_dir is None:
        raise InputError(
            "--manual_dir",
            f"not given, and {builder.info.full_name} is not prepared in "
            f"{builder.data_dir}",
            f"Download the release:\n{_steps(builder)}",
        )
    builder.find_release(Path(manual_dir))
    with _disk_errors(builder), _alone(builder, quiet):
        builder = make_builder(name, data_dir)  # another build may have made it
        if is_prepared(builder):
            return _same_kind(builder, manual_dir)
        _remove_leftovers(builder)
        _prepare(builder, Path(manual_dir).expanduser().absolute(), quiet)
    return make_builder(name, data_dir)


def summary(builder) -> str:
    """What a prepared dataset holds, where it is, and how to read it."""
    metadata = builder.info.metadata
    splits = metadata["splits"]
    columns = list(next(iter(splits.values())))
    table = [["", *columns]]
    table += [
        [split, *(_cell(row[c]) for c in columns)] for split, row in splits.items()
    ]
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    lines = [f"{builder.info.full_name}, release {metadata['release']}"]
    if metadata["synthetic"]:
        lines.append("SYNTHETIC: drawn by a program, not X-rays of people.")
    lines.append("")
    for row in table:
        cells = [row[0].ljust(widths[0])]
        cells += [c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True)]
        lines.append("  " + "  ".join(cells))
    empty = [split for split, row in splits.items() if not row["images"]]
    if empty:
        lines.append(f"  Empty, so not there to be read: {', '.join(empty)}.")
    counts = {text: n for text, n in metadata["counts"].items() if n}
    if counts:
        lines += ["", *(f"  {n:,} {text}" for text, n in counts.items())]
    full_name = "/".join(filter(None, [builder.name, builder.builder_config.name]))
    root = str(builder.data_dir_root)
    lines += [
        "",
        f"Written to {builder.data_path}",
        "Read it with",
        "  import tensorflow_datasets as tfds",
        f"  data = tfds.data_source({full_name!r}, data_dir={root!r})",
    ]
    lines.append(f"  data[{next(s for s in splits if s not in empty)!r}][0]['image']")
    return "\n".join(lines)


def _prepare(builder, manual_dir, quiet) -> None:
    if not quiet:
        builder.progress = _progress
    # Our bar knows how many images there are; TFDS's counts up to no end, and its
    # prints speak of downloads.
    tfds.disable_progress_bar()
    try:
        with (
            contextlib.redirect_stdout(io.StringIO()),
            tempfile.TemporaryDirectory() as nothing_is_downloaded,
        ):
            builder.download_and_prepare(
                download_dir=nothing_is_downloaded,
                download_config=tfds.download.DownloadConfig(manual_dir=manual_dir),
            )
    except FileExistsError:
        # A program without our lock was quicker; what it made is complete.
        if not is_prepared(builder):
            raise
    finally:
        tfds.enable_progress_bar()
    _check_stored(builder)


def _progress(items, text) -> Iterator:
    return tqdm(items, desc=f"{text:>5}", unit=" images", mininterval=0.5)


def _check_stored(builder) -> None:
    """Read the number of records back; a full disk must not pass for a dataset."""
    for split, planned in builder.info.metadata["splits"].items():
        there = 0
        if split in builder.info.splits:
            there = len(builder.as_data_source(split))
        if there != planned["images"]:
            builder.data_path.rmtree()
            raise InputError(
                builder.data_dir,
                f"{there} of {planned['images']} images of {split} were stored",
                "The dataset was removed. Check the disk, then build again.",
            )


def _same_kind(builder, manual_dir):
    """Refuse a phantom in place of the release that the user names, or the reverse."""
    if manual_dir is not None and Path(manual_dir).expanduser().is_dir():
        wanted = is_synthetic(builder.find_release(Path(manual_dir)))
        prepared = builder.info.metadata["synthetic"]
        if wanted != prepared:
            kinds = {True: "a synthetic release", False: "a real release"}
            raise InputError(
                builder.data_dir,
                f"already prepared from {kinds[prepared]}, but {manual_dir} is "
                f"{kinds[wanted]}",
                "Name another --data_dir, or remove that folder and build again.",
            )
    return builder


@contextlib.contextmanager
def _alone(builder, quiet):
    """Hold the lock of this dataset; it is let go of when the process dies."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    folder = Path(builder.data_path).parent.parent / ".config"
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{builder.builder_config.name}-{builder.version}.lock"
    with open(folder / name, "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not quiet:
                print("Another process is building this dataset; waiting for it.")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _remove_leftovers(builder) -> None:
    """Remove what killed builds left. Only under the lock, so none is alive."""
    target = builder.data_path
    for path in sorted(target.parent.glob(f"incomplete.*_{target.name}")):
        path.rmtree()


@contextlib.contextmanager
def _disk_errors(builder):
    """Turn a disk that cannot be written into an InputError.

    The record writer raises RuntimeError with the system's words in it.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:
        where = getattr(error, "filename", None) or builder.data_dir
        do = "Make room or get permission there, or name another --data_dir."
        for code in _DISK_ERRORS:
            if getattr(error, "errno", None) == code or os.strerror(code) in str(error):
                found = f"{os.strerror(code)}; nothing of this build was kept"
                raise InputError(where, found, do) from error
        raise


def _steps(builder) -> str:
    steps = builder.MANUAL_DOWNLOAD_INSTRUCTIONS.strip("\n").rstrip()
    kind = builder.name.removeprefix("covid_")
    return (
        f"{steps}\n  Or try it with drawn pictures:\n"
        f"    python -m tfds_builders.common.phantom {kind} my-folder --n=100"
    )


def _cell(value) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.2f}"


def main(argv) -> None:
    # TFDS logs its internals; what a person needs is printed at the end.
    logging.set_verbosity(logging.ERROR)
    if len(argv) != 2:
        raise InputError(
            " ".join(argv[1:]) or "NAME",
            "one dataset is needed",
            "python -m tfds_builders.build NAME[/CONFIG] --manual_dir=DIR; NAME is one "
            f"of {', '.join(DATASETS)}.",
        )
    data_dir = flags.FLAGS.data_dir
    known = is_prepared(make_builder(argv[1], data_dir))
    builder = build(argv[1], flags.FLAGS.manual_dir, data_dir)
    if known:
        print(
            "Already prepared, nothing was done. To build it again, remove "
            f"{builder.data_path}\n"
        )
    print(summary(builder))


def run() -> None:
    """Entry point: an InputError ends with its message alone and exit code 1."""
    # Here, not on import: other programs import `build` and have flags of their own.
    flags.DEFINE_string(
        "manual_dir", None, "The release's own folder, or the folder that holds it."
    )
    flags.DEFINE_string(
        "data_dir",
        None,
        "Where prepared datasets live; else TFDS_DATA_DIR, else ~/tensorflow_datasets.",
    )
    try:
        app.run(main)
    except InputError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("Stopped; nothing of this build was kept.", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    run()
