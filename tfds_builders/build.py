r"""Build a dataset once, on your own machine, from the release that you downloaded.

    python -m tfds_builders.build NAME[/CONFIG] --manual_dir=DIR [--data_dir=DIR]

--manual_dir is the folder of the release or the folder that contains it. What each
dataset needs, and where to get it, is in tfds_builders/NAME/README.md. TensorFlow is
needed neither here nor for reading.
"""

import contextlib
import importlib
import io
import os
import tempfile
from pathlib import Path

import tensorflow_datasets as tfds
from absl import flags, logging
from google.protobuf import json_format

from tfds_builders import DATASETS
from tfds_builders.common import array_record, command, limits, places
from tfds_builders.common.build import beam, disk
from tfds_builders.common.build.builder import Options, patients_digest
from tfds_builders.common.build.integrity import damage
from tfds_builders.common.build.parallel import check_not_in_worker
from tfds_builders.common.build.release import is_synthetic
from tfds_builders.common.build.summary import summary
from tfds_builders.common.dicom.radiograph import POLARITIES
from tfds_builders.common.errors import InputError
from tfds_builders.common.patient_names import FLAG
from tfds_builders.common.patients import TABLE as PATIENTS


def make_builder(name: str, data_dir: str | Path | None = None):
    """The TFDS builder of 'NAME' or 'NAME/CONFIG'; writes nothing.

    Errors: InputError if there is no such dataset or config, or if the description of
    a prepared one cannot be read.
    """
    array_record.require()
    dataset, _, config = name.partition("/")
    if dataset not in DATASETS:
        raise InputError(
            name, "unknown dataset", f"Choose one of {', '.join(DATASETS)}."
        )
    module = f"tfds_builders.{dataset}.{dataset}_dataset_builder"
    builder_class = importlib.import_module(module).Builder
    configs = list(builder_class.builder_configs)
    if config and config not in configs:
        raise InputError(
            name,
            f"{dataset} has no config {config}",
            f"Choose one of {', '.join(f'{dataset}/{c}' for c in configs)}.",
        )
    data_dir = places.data_dir(data_dir)
    if path := places.unreadable(data_dir / dataset):
        raise places.denied(path)
    try:
        return builder_class(config=config or None, data_dir=data_dir)
    except json_format.ParseError as error:
        folder = (
            data_dir / dataset / (config or configs[0]) / str(builder_class.VERSION)
        )
        raise _damaged(folder, f"dataset_info.json cannot be read ({error})") from error


def is_prepared(builder) -> bool:
    """Whether the dataset is complete on disk: TFDS renames its folder last of all.

    Errors: InputError if the folder exists, but is an incomplete copy.
    """
    if not builder.data_path.exists():
        return False
    if not (builder.data_path / "dataset_info.json").exists():
        raise InputError(
            builder.data_path,
            "an incomplete copy of a dataset: dataset_info.json is missing",
            "Remove it, then copy or build it again.",
        )
    return True


def build(
    name: str,
    manual_dir: str | Path | None = None,
    data_dir: str | Path | None = None,
    quiet: bool = False,
    options: Options = Options(),  # noqa: B008, it is immutable
):
    """Build 'NAME' or 'NAME/CONFIG' unless it is already prepared; returns its builder.

    The dataset appears under its name only when it is complete. A build that was
    killed leaves only a temporary folder, which the next build removes. Of two builds
    at the same time, the second waits for the first.

    Errors: InputError for anything wrong with the release, the flags or the disk.
    """
    builder = make_builder(name, data_dir)
    if options.patients_from and builder.name != "image_folder":
        raise InputError(
            FLAG,
            f"is for image_folder, and the dataset is {builder.name}",
            f"Its release names its own files; write {PATIENTS} instead.",
        )
    if is_prepared(builder):
        return _usable(builder, manual_dir, options)
    if manual_dir is None:
        raise InputError(
            "--manual_dir",
            f"missing, and {builder.info.full_name} is not prepared in "
            f"{builder.data_dir}",
            f"Download the release:\n{_steps(builder)}",
        )
    builder.find_release(Path(manual_dir))
    check_not_in_worker()
    with disk.disk_errors(builder), disk.alone(builder, quiet):
        builder = make_builder(name, data_dir)  # another build may have made it
        if is_prepared(builder):
            return _usable(builder, manual_dir, options)
        disk.remove_leftovers(builder)
        builder.options, builder.quiet = options, quiet
        _prepare(builder, places.expanded(manual_dir).absolute())
    return make_builder(name, data_dir)


def _prepare(builder, manual_dir) -> None:
    # Our progress bar knows how many images there are; that of TFDS does not, and its
    # messages are about downloads.
    tfds.disable_progress_bar()
    try:
        with (
            contextlib.redirect_stdout(io.StringIO()),
            tempfile.TemporaryDirectory() as nothing_is_downloaded,
        ):
            builder.download_and_prepare(
                download_dir=nothing_is_downloaded,
                download_config=tfds.download.DownloadConfig(
                    manual_dir=manual_dir,
                    beam_runner=builder.options.beam_runner,
                    beam_options=builder.options.beam_options,
                ),
            )
    except FileExistsError:
        # A program without our lock was quicker; what it made is complete.
        if not is_prepared(builder):
            raise
    finally:
        tfds.enable_progress_bar()
    _check_stored(builder)


def _check_stored(builder) -> None:
    """Open what was just written, in case the disk was full."""
    if found := damage(builder):
        builder.data_path.rmtree()
        raise InputError(
            builder.data_dir,
            found,
            "The dataset was removed. Check the disk, then build again.",
        )


def _damaged(folder, found: str) -> InputError:
    return InputError(
        folder, f"damaged: {found}", "Remove that folder and build again."
    )


def _usable(builder, manual_dir, options):
    """The builder of a prepared dataset that can be read and is the requested one.

    A phantom is refused in place of a real release, and the reverse.
    """
    if found := damage(builder, whole=True):
        raise _damaged(builder.data_path, found)
    prepared = builder.info.metadata
    if "pixels" not in prepared:
        raise InputError(
            builder.data_path,
            "prepared by an earlier version, without digests of its pixels: a run could "
            "not notice other ones",
            "Remove that folder and build again; the images and splits stay the same.",
        )
    if manual_dir is not None and places.expanded(manual_dir).is_dir():
        release = builder.find_release(Path(manual_dir))
        wanted = is_synthetic(release)
        if wanted != prepared["synthetic"]:
            kinds = {True: "a synthetic release", False: "a real release"}
            there = f"from {kinds[not wanted]}"
            raise _other(builder, there, f"{manual_dir} is {kinds[wanted]}")
        if patients_digest(release) != prepared["patients_csv"]:
            there = f"with{'' if prepared['patients_csv'] else 'out'} a {PATIENTS}"
            raise _other(
                builder, there, f"that of {release} was added, changed or removed"
            )
        if options.patients_from != prepared.get("patients_from", ""):
            known = prepared.get("patients_from", "")
            there = (
                f"with{'' if known else 'out'} {FLAG}{f'={known!r}' if known else ''}"
            )
            wanted = f"now it is {options.patients_from!r}"
            raise _other(builder, there, wanted)
        if options.polarity != prepared["polarity"]:
            there = f"with --polarity={prepared['polarity']}"
            raise _other(builder, there, f"--polarity is {options.polarity}")
    return builder


def _other(builder, prepared: str, wanted: str) -> InputError:
    return InputError(
        builder.data_dir,
        f"already prepared {prepared}, but {wanted}",
        "Choose another --data_dir, or remove that folder and build again.",
    )


def _steps(builder) -> str:
    steps = builder.MANUAL_DOWNLOAD_INSTRUCTIONS.strip("\n").rstrip()
    return (
        f"{steps}\n  Or try it with synthetic images:\n"
        f"    python -m tfds_builders.phantom {builder.name} my-folder --n=100"
    )


def main(argv) -> None:
    # TFDS logs its internals; the summary at the end is what the user needs.
    logging.set_verbosity(logging.ERROR)
    if len(argv) != 2:
        raise InputError(
            " ".join(argv[1:]) or "NAME",
            "name one dataset",
            "python -m tfds_builders.build NAME[/CONFIG] --manual_dir=DIR; NAME is one "
            f"of {', '.join(DATASETS)}.",
        )
    data_dir = flags.FLAGS.data_dir
    known = is_prepared(make_builder(argv[1], data_dir))
    builder = build(argv[1], flags.FLAGS.manual_dir, data_dir, options=_options())
    if known:
        print(
            "Already prepared; nothing was done. To build it again, remove "
            f"{builder.data_path}\n"
        )
    print(summary(builder))


def _options() -> Options:
    values = flags.FLAGS
    if values.max_megapixels is not None:
        os.environ[limits.VARIABLE] = str(values.max_megapixels)  # of workers too
    runner, beam_options = beam.runner(values.beam_runner, values.beam_pipeline_options)
    return Options(
        num_workers=os.cpu_count()
        if values.num_workers is None
        else values.num_workers,
        max_rejected=values.max_rejected,
        polarity=values.polarity,
        patients_from=values.patients_from,
        beam_runner=runner,
        beam_options=beam_options,
    )


def run() -> None:
    """Entry point of the command."""
    # Not on import: other programs import `build` and define their own flags.
    flags.DEFINE_string(
        "manual_dir", None, "Folder of the release, or the folder that contains it."
    )
    flags.DEFINE_string(
        "data_dir",
        None,
        "Folder of prepared datasets; default $TFDS_DATA_DIR or ~/tensorflow_datasets.",
    )
    flags.DEFINE_integer(
        "num_workers",
        None,
        "Decoding processes; default one per core, 0 to decode in this process. The "
        "dataset is the same.",
        lower_bound=0,
    )
    flags.DEFINE_integer(
        "max_rejected",
        0,
        "Number of unreadable files to allow; they are left out and listed in rejected.csv.",
        lower_bound=0,
    )
    flags.DEFINE_float(
        "max_megapixels",
        None,
        "Largest picture to read, in millions of pixels; default 100. Larger ones, and "
        "files that unpack to more, count as unreadable.",
        lower_bound=0.001,
    )
    flags.DEFINE_enum(
        "polarity",
        POLARITIES[0],
        POLARITIES,
        "What to obey where DICOM pixels contradict MONOCHROME1 or MONOCHROME2.",
    )
    flags.DEFINE_string(
        "patients_from",
        "",
        "Of image_folder: regular expression for the patient, its first group, in the "
        r"path of a file: '/(person\d+)_'. A build without it suggests some.",
    )
    flags.DEFINE_string(
        "beam_runner", None, "Runner of Apache Beam, e.g. DirectRunner, DataflowRunner."
    )
    flags.DEFINE_string(
        "beam_pipeline_options",
        "",
        "Options of Beam: NAME=VALUE,NAME=VALUE, no dashes.",
    )
    command.run(main, interrupted="nothing of this build was kept")


if __name__ == "__main__":
    run()
