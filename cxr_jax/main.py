"""Command line: python -m cxr_jax.main --config=configs/brixia.py --workdir=runs/a."""

from __future__ import annotations

import gc
import pathlib
import sys

from cxr_jax.devices import huge_pages, leaving
from cxr_jax.train import signals

if __name__ == "__main__":  # what is imported below takes a second
    huge_pages.use()
    signals.begin(sys.argv[1:])
    gc.disable()  # until `_opened`: next to nothing of it is garbage

from absl import flags, logging
from ml_collections import ConfigDict

from cxr_jax import config as config_lib
from cxr_jax import config_flag
from cxr_jax.serve import node_flags
from cxr_jax.weights.optional import package
from tfds_builders.common import command, places
from tfds_builders.common.errors import InputError

_OF_RUNS = ("ensemble", "compare", "folds", "matrix")
# Modes that read and write elsewhere than in a workdir: the flags that they take.
_OF_FILES = {
    "predict": ("checkpoint", "input", "output", "gate"),
    "export": ("checkpoint", "output", "gate"),
    "view": ("bundle", "port"),
    "serve": ("bundle", "port", "gate", *node_flags.NAMES),
}
for module in (config_flag, node_flags):
    flags.adopt_module_key_flags(module)

_WORKDIR = flags.DEFINE_string(
    "workdir", "", f"Folder of the run; not with --mode={' or '.join(_OF_FILES)}."
)
_MODE = flags.DEFINE_enum(
    "mode",
    "train",
    ["train", "eval", "report", "audit", *_OF_RUNS, *_OF_FILES],
    "train: trains or resumes, then tests. eval: tests the best checkpoint. report: "
    "writes the page of a finished run again, with what was audited since. audit: "
    "looks for leakage and shortcuts in the data, before anyone trains; with --checkpoint "
    "in a trained model. ensemble: averages the predictions of finished runs. compare: "
    "tests them against the first. folds: pools the runs of a cross-validation. matrix: "
    "tests runs of several datasets on the test sets of all of them. predict: scores the "
    "films of --input with the model of --checkpoint. export: makes of a finished run a "
    "bundle, for other programs and for browsers. view: shows the page of --bundle, which "
    "scores films in the browser. serve: a DICOM node that scores what it is sent with "
    "--bundle.",
)
_EVAL_ON = flags.DEFINE_string(
    "eval_on",
    ":test",
    "With --mode=eval or ensemble: dataset[/config][:split], as covidgr:test; with "
    "--mode=matrix several of them.",
)
_RUNS = flags.DEFINE_list(
    "runs",
    [],
    "With --mode=ensemble, compare, folds or matrix: workdirs of finished runs, or a "
    "folder that holds them.",
)
_CHECKPOINT = flags.DEFINE_string(
    "checkpoint",
    "",
    "The workdir of a finished run: with --mode=audit its model is audited, with "
    "--mode=predict it scores films (an exported bundle does too), with --mode=export a "
    "bundle is made of it.",
)
_INPUT = flags.DEFINE_string(  # no list, which would strip and unquote the names
    "input",
    "",
    "With --mode=predict: files (DICOM, PNG, JPEG, TIFF, WebP), folders, patterns like "
    "'films/*.dcm', zip archives.",
)
_OUTPUT = flags.DEFINE_string(
    "output",
    "",
    "With --mode=predict: a new folder for table, pictures and page; with --mode=export: "
    "of the bundle.",
)
_GATE = flags.DEFINE_enum(
    "gate",
    "refuse",
    ["refuse", "warn", "off"],
    "With --mode=predict or serve: what becomes of a film that is not an upright frontal "
    "chest film like those of the training. With --mode=export: off leaves the gate out, which "
    "needs the data of the run.",
)
_BUNDLE = flags.DEFINE_string(
    "bundle",
    "",
    "With --mode=view: an exported bundle, whose page is served; with --mode=serve: "
    "which scores.",
)
_PORT = flags.DEFINE_integer(
    "port",
    0,
    "With --mode=view: of this machine; 0 for 8118, or a free one. With --mode=serve: "
    "of the node; 0 for 11112.",
)
_MEMBERS = flags.DEFINE_string(
    "members",
    "",
    "Trains several at once in one program: a number of seeds, or a JSON file "
    "{name: {key: value}} of what they differ in. Each gets a folder in --workdir.",
)
_DRY_RUN = flags.DEFINE_bool(
    "dry_run",
    False,
    "Prints data, parameters, operations, memory and steps of the training, and stops.",
)
_ALLOW = flags.DEFINE_list(
    "allow",
    [],
    "Keys of the config that may differ from those a run began with, as total,optim.lr.",
)
_TEST = flags.DEFINE_bool(
    "test",
    True,
    "--notest leaves the test split alone: the result of val goes to val.json, and the "
    "same command with --test finishes the run. A search does so for all but its best.",
)
_PROFILE = flags.DEFINE_integer(
    "profile",
    0,
    "Traces so many steps (on an accelerator: calls of up to 32 steps), for a viewer.",
)
_DISTRIBUTED = flags.DEFINE_bool(
    "distributed",
    False,
    "One of several processes that train one model, as Slurm, Open MPI or Kubernetes "
    "started them.",
)
_COORDINATOR = flags.DEFINE_string(
    "coordinator", "", "The same without a scheduler: host:port of the first process."
)
_PROCESSES = flags.DEFINE_integer("processes", 0, "With --coordinator: how many.")
_PROCESS = flags.DEFINE_integer("process", -1, "With --coordinator: which, from 0 on.")
_DATASET = flags.DEFINE_list(
    "dataset",
    [],
    "With --mode=audit, instead of a config: dataset[/config], one or several, as "
    "covidgr,brixia.",
)
_DATA_DIR = flags.DEFINE_string(
    "data_dir",
    "",
    "With --dataset, and with --mode=eval: where the dataset lies, else TFDS's own folder "
    "or that of the run.",
)


def main(argv: list[str]) -> int:
    if len(argv) > 1:
        raise InputError(
            "command line", f"{argv[1:]}: unknown flag", "see --help for the flags"
        )
    config = config_flag.value()
    # The libraries' own reports are for their developers; ours go to the terminal.
    logging.set_verbosity(logging.ERROR)
    if _MODE.value in _OF_FILES:
        return _of_files()
    _check_file_flags()
    workdir = places.expanded(_WORKDIR.value)
    if _MODE.value == "audit" and not _CHECKPOINT.value:
        _opened()
        return _audit(config, workdir)
    _check_data_flags(config)
    _check_runs()
    # Here, so that --help and a mistyped flag answer at once: JAX takes a second.
    from cxr_jax.devices import processes, settings
    from cxr_jax.evaluation import evaluate
    from cxr_jax.train import dry_run, loop, session

    _opened()
    settings.apply()
    if _DISTRIBUTED.value or _COORDINATOR.value:
        processes.start(_COORDINATOR.value, _PROCESSES.value, _PROCESS.value)
        signals.again()  # JAX has a handler of its own
    if _MODE.value == "report":
        from cxr_jax.report import write

        return write.write(workdir)
    settings.check_device()
    if _MODE.value == "eval":
        return evaluate.evaluate(config, workdir, _EVAL_ON.value, _DATA_DIR.value)
    if _MODE.value in _OF_RUNS:
        return _of_runs(config, workdir)
    if _CHECKPOINT.value:
        return _audit_model(workdir)
    if config is None:
        raise InputError(
            "--config",
            "is not given",
            f"give a file of your own, or one of: {config_lib.names()}",
        )
    if _DRY_RUN.value:
        dry_run.show(*session.prepare(config, workdir))
        return 0
    return loop.train(
        config,
        workdir,
        members=_MEMBERS.value,
        profile=_PROFILE.value,
        allow=_ALLOW.value,
        test=_TEST.value,
        origin=config_flag.origin(),
        report=write_report,
    )


def write_report(workdir: pathlib.Path) -> None:
    """Writes the report of a finished run, unless there is one."""
    from cxr_jax.report import write  # matplotlib takes a second

    write.write_missing(workdir)


def _check_data_flags(config: ConfigDict | None) -> None:
    is_eval = _MODE.value == "eval"
    if _DATASET.value or (_DATA_DIR.value and not is_eval):
        raise InputError(
            "--dataset and --data_dir",
            f"belong to --mode=audit, and the mode is {_MODE.value}",
            "set --eval_on, which names the dataset, and --data_dir"
            if is_eval
            else "set config.data.dataset and config.data.data_dir",
        )
    if _DATA_DIR.value and config is not None:
        raise InputError(
            "--data_dir and --config",
            "both say where the data are",
            "omit --config: that of the run is read from its workdir",
        )


def _check_file_flags() -> None:
    """Raises InputError for flags of other modes, and where there is no workdir."""
    for flag, mode in (
        (_INPUT, "predict"),
        (_OUTPUT, "predict or export"),
        (_GATE, "predict, export or serve"),
        (_BUNDLE, "view or serve"),
        (_PORT, "view or serve"),
        *((flags.FLAGS[name], "serve") for name in node_flags.NAMES),
    ):
        if flag.value != flag.default:
            raise InputError(
                f"--{flag.name}",
                f"belongs to --mode={mode}, and the mode is {_MODE.value}",
                "omit it, or set --mode",
            )
    if not _WORKDIR.value:
        raise InputError(
            "--workdir",
            "is not given",
            f"say where the run is written or read: --mode={_MODE.value} --workdir=DIR",
        )


def _check_flags(mode: str) -> None:
    """Raises InputError for a flag that a mode of _OF_FILES would not heed."""
    taken = _OF_FILES[mode]
    for flag in flags.FLAGS.get_key_flags_for_module(main.__module__):
        if flag.name in ("mode", *taken) or flag.value == flag.default:
            continue
        hint = f"omit it: this mode takes {', '.join(f'--{name}' for name in taken)}"
        if flag.name == "bundle" and mode != "serve":
            hint = "give the folder as --checkpoint"
        elif mode == "view" and flag.name == "input":
            hint = "omit it: films are dropped onto the page"
        raise InputError(f"--{flag.name}", f"does not go with --mode={mode}", hint)


def _of_files() -> int:
    _check_flags(_MODE.value)
    if _MODE.value == "view":
        return _view()
    if _MODE.value == "serve":
        return _serve()
    is_export = _MODE.value == "export"
    example = (
        "--mode=export --checkpoint=runs/a --output=bundle"
        if is_export
        else "--mode=predict --checkpoint=runs/a --input=films --output=predictions"
    )
    for flag in (_CHECKPOINT, _OUTPUT) if is_export else (_CHECKPOINT, _INPUT, _OUTPUT):
        if not flag.value:
            hint = f"python -m cxr_jax.main {example}"
            raise InputError(f"--{flag.name}", "is not given", hint)
    if is_export and _GATE.value == "warn":
        raise InputError(
            "--gate",
            "'warn' is for --mode=predict",
            "omit it, and the bundle has a gate; 'off' leaves it out",
        )
    checkpoint = places.expanded(_CHECKPOINT.value)
    output = places.expanded(_OUTPUT.value)
    if is_export:
        _begin_jax()
        from cxr_jax.export import bundling

        _opened()
        return bundling.export(checkpoint, output, with_gate=_GATE.value != "off")
    from cxr_jax.bundle import loaded
    from cxr_jax.predict import batch

    if loaded.is_bundle(checkpoint):  # without JAX
        scorer = loaded.load(checkpoint).scorer
    else:
        _begin_jax()
        from cxr_jax.predict import kept_run

        scorer = kept_run.scorer(checkpoint, _GATE.value, _functions)
        if scorer is None:
            from cxr_jax.predict import opening  # flax and optax take a second

            scorer = opening.scorer(checkpoint, _GATE.value)
    _opened()
    return batch.predict(scorer, _INPUT.value.split(","), output, _GATE.value)


def _functions(config: ConfigDict):
    from cxr_jax.predict import of_run
    from cxr_jax.runs import restore

    return of_run.functions(restore.built(config))


def _opened() -> None:
    """Work begins: from now on garbage is looked for, but not in the modules."""
    gc.freeze()
    gc.enable()


def _begin_jax() -> None:
    from cxr_jax.devices import settings

    settings.apply()
    settings.check_device()


def _view() -> int:
    if not _BUNDLE.value:
        raise InputError(
            "--bundle",
            "is not given",
            "python -m cxr_jax.main --mode=view --bundle=FOLDER, with a folder that "
            "--mode=export made",
        )
    from cxr_jax.view import localhost

    _opened()
    return localhost.serve(places.expanded(_BUNDLE.value), _PORT.value)


def _serve() -> int:
    options = node_flags.options(_BUNDLE.value, _PORT.value, _GATE.value)
    for name in ("pynetdicom", "highdicom", "dicomweb_client"):
        package(name, "serve", "--mode=serve")
    from cxr_jax.serve import node

    _opened()
    return node.serve(options)


def _check_runs() -> None:
    if (_MODE.value in _OF_RUNS) != bool(_RUNS.value):
        raise InputError(
            "--runs",
            f"belongs to --mode={' or '.join(_OF_RUNS)}, and the mode is {_MODE.value}"
            if _RUNS.value
            else "is not given",
            "python -m cxr_jax.main --mode=ensemble --runs=runs/a,runs/b "
            "--workdir=runs/ensemble",
        )


def _of_runs(config: ConfigDict | None, workdir: pathlib.Path) -> int:
    if _MODE.value == "ensemble":
        from cxr_jax.evaluation import ensemble

        return ensemble.combine(config, _RUNS.value, workdir, _EVAL_ON.value)
    if _MODE.value == "compare":
        from cxr_jax.evaluation import compare

        return compare.compare(_RUNS.value, workdir)
    if _MODE.value == "matrix":
        from cxr_jax.evaluation.external import matrix

        return matrix.matrix(config, _RUNS.value, workdir, _EVAL_ON.value)
    from cxr_jax.evaluation import cross_validation

    return cross_validation.pool(_RUNS.value, workdir)


def _audit_model(workdir: pathlib.Path) -> int:
    for flag in (config_flag.CONFIG, _DATASET, _DATA_DIR):
        if flag.value:
            raise InputError(
                f"--{flag.name} and --checkpoint",
                "do not go together",
                "the run's own config and data are read from its workdir",
            )
    if _MODE.value != "audit":
        raise InputError(
            "--checkpoint",
            f"belongs to --mode=audit, and the mode is {_MODE.value}",
            "omit it, or set --mode=audit",
        )
    from cxr_jax.audits.model import audit as audit_lib

    return audit_lib.audit(places.expanded(_CHECKPOINT.value), workdir)


def _audit(config: ConfigDict | None, workdir: pathlib.Path) -> int:
    if (config is None) != bool(_DATASET.value) or (config and _DATA_DIR.value):
        raise InputError(
            "--config and --dataset",
            "an audit takes one of the two",
            "give --config (its data.dataset is audited, and config.audit.against "
            "names others), or --dataset=covidgr,brixia with --data_dir",
        )
    from cxr_jax.audits.data import audit

    if config is not None:
        return audit.of_config(config, workdir)
    return audit.of_names(_DATASET.value, _DATA_DIR.value, workdir)


def run() -> None:
    """Entry point of the command."""
    huge_pages.use()
    signals.begin(sys.argv[1:])
    with leaving.quickly():
        command.run(main, parse=config_flag.parse)


if __name__ == "__main__":
    run()
