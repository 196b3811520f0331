"""The command line as a user sees it."""

import json
import shutil
import subprocess
import sys

import pytest
from started import started

from tfds_builders.phantom import write_release


@pytest.fixture(scope="module")
def command(environment):
    with started("cxr_jax.main", "cxr_jax.train.loop", env=environment) as run:
        yield run


@pytest.fixture(scope="module")
def run(command):
    """run(*arguments, code=0): the command, in a copy of a process that imported it."""

    def run(*arguments, code=0):
        done = command(*arguments)
        assert done.returncode == code, done.stderr
        return done

    return run


QUICKSTART = "--config=configs/quickstart.py"


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([QUICKSTART, "--config.optim.lrr=1"], "lrr"),
        ([QUICKSTART, "--config.optim.lr=fast"], "lr"),
        (["--config=configs/nothing.py"], "nothing.py"),
        (["--config=configs/brixia.py:fantom"], "no argument 'fantom'"),
        (["--confg=x"], "confg"),
        ([QUICKSTART, "--config.model.name=resnet19"], "choose one of"),
        ([QUICKSTART, "--config.total=long"], "'long' is not a duration"),
        ([QUICKSTART, "--config.preprocess.train=to_flot"], "to_float"),
        ([QUICKSTART, "surplus"], "surplus"),
        ([QUICKSTART, "--members=some.json"], "give a number of seeds"),
        ([QUICKSTART, "--coordinator=127.0.0.1:1"], "give all three"),
        ([QUICKSTART, "--config.batch_size=9", "--config.accumulate=2"], "divide"),
        ([QUICKSTART, "--config.data.residency=gpu"], "choose one of: auto, disk"),
        (["--mode=eval"], "no such file"),
        ([], "--config"),
        ([QUICKSTART, "--bundle=b"], "belongs to --mode=view"),
        (["--mode=view"], "does not go with --mode=view"),
    ],
)
def test_mistakes_are_one_message_and_exit_code_1(run, tmp_path, arguments, message):
    workdir = f"--workdir={tmp_path / 'run'}"
    small = ["--config.data.phantom=12"] if QUICKSTART in arguments else []
    done = run(*arguments, *small, workdir, code=1)
    assert "error:" in done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "text, message",
    [
        ("open('/nowhere/x')\n\ndef get_config(): ...", "/nowhere/x"),
        ("def get_config():\n    return None.lr", "line 2"),
        ("def get_config():\n    return {}", "returns a dict"),
        ("x = 1", "has no get_config()"),
    ],
    ids=["missing file", "attribute", "dict", "no function"],
)
def test_a_faulty_config_file_is_named(run, tmp_path, text, message):
    path = tmp_path / "mine.py"
    path.write_text(text + "\n")
    done = run(f"--config={path}", f"--workdir={tmp_path / 'r'}", code=1)
    assert "mine.py" in done.stderr and message in done.stderr
    assert "Traceback" not in done.stderr


def test_quickstart_in_small_then_eval_without_tensorflow(environment, tmp_path):
    workdir = tmp_path / "run"
    # The same programs as in test_wheel and launch/results/test_program: compiled once.
    small = [
        "--config.data.phantom=60",
        "--config.data.size=48",
        "--config.preprocess.train=to_float|flip_lr|standardise",
        "--config.preprocess.eval=to_float|standardise",
        "--config.total=4steps",
        "--config.batch_size=8",
        "--config.model.widths=(4,8)",
        "--config.model.stem_stride=1",
        "--config.resamples=20",
        f"--workdir={workdir}",
    ]
    code = (
        "import runpy, sys\n"
        "try: runpy.run_module('cxr_jax.main', run_name='__main__')\n"
        "except SystemExit as e: assert not e.code, e.code\n"
        "assert 'tensorflow' not in sys.modules\n"
    )
    trained = subprocess.run(
        [sys.executable, "-c", code, QUICKSTART, *small],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert trained.returncode == 0, trained.stderr
    assert "95 % interval" in trained.stdout
    assert "SYNTHETIC" in trained.stdout
    metrics = json.loads((workdir / "results.json").read_text())["metrics"]
    # The run's own config is read from its folder; no data are built again.
    evaluated = subprocess.run(
        [sys.executable, "-m", "cxr_jax.main", "--mode=eval", f"--workdir={workdir}"],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    )
    assert "mae_zone" in evaluated.stdout
    again = json.loads((workdir / "evaluations/brixia_256-test.json").read_text())
    assert again["metrics"]["test/mae_zone"] == metrics["test/mae_zone"]


def test_members_a_dry_run_and_a_profile(run, tmp_path, brixia_data):
    """One start each, on the small dataset."""
    small = [
        QUICKSTART,
        "--config.data.phantom=0",
        f"--config.data.data_dir={brixia_data}",
        "--config.data.size=48",
        "--config.preprocess.train=to_float|flip_lr|standardise",
        "--config.preprocess.eval=to_float|standardise",
        "--config.total=4steps",
        "--config.every.eval=4steps",
        "--config.batch_size=8",
        "--config.model.widths=(4,8)",
        "--config.model.stem_stride=1",
        "--config.resamples=20",
        "--config.report=False",
    ]
    shown = run(*small, "--dry_run", f"--workdir={tmp_path / 'dry'}")
    assert "a dry run: nothing was trained" in shown.stdout
    assert not (tmp_path / "dry").exists()
    together = tmp_path / "members"
    shown = run(*small, "--members=2", f"--workdir={together}")
    for name in ("seed=0", "seed=1"):
        assert (together / name / "results.json").is_file()
    # One of them says how far they are, all say what an evaluation gave.
    assert "seed=1  step      4/4  val loss" in shown.stdout
    assert "seed=1  step      2/4  epoch" not in shown.stdout
    profiled = tmp_path / "profiled"
    shown = run(*small, "--profile=1", f"--workdir={profiled}")
    assert list(profiled.rglob("perfetto_trace.json.gz"))
    assert "ui.perfetto.dev" in shown.stdout
    assert list((profiled / "events").glob("events.out.tfevents.*"))


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--mode=eval"], "--workdir: is not given"),
        (["--mode=eval", "--input=a.png"], "--input: belongs to --mode=predict"),
        (["--mode=predict", "--workdir=r"], "--workdir: does not go with"),
        (["--mode=predict", "--checkpoint=r", "--output=o"], "--input: is not given"),
        (
            ["--mode=predict", "--checkpoint=r", "--output=o", "--input=a.png"],
            "r: is not a folder",
        ),
        (["--mode=eval", "--workdir=r", "--gate=off"], "--gate: belongs to"),
        (["--mode=predict", "--input=a.png", "--dry_run"], "--dry_run: does not go"),
        (["--mode=predict", "--port=1", "--eval_on=covidgr"], "does not go with"),
        (["--mode=export", "--input=a"], "--input: does not go with --mode=export"),
        (["--mode=export", "--checkpoint=r", "--output=o", "--gate=warn"], "'warn'"),
        (["--mode=view", "--bundle=b", "--gate=off"], "--gate: does not go with"),
        (["--mode=view", "--config=quickstart.py"], "--config: does not go with"),
    ],
)
def test_flags_of_predict(run, tmp_path, arguments, message):
    done = run(*arguments, code=1)
    assert message in done.stderr and "Traceback" not in done.stderr


def test_predict_films_of_a_folder(run, trained, tmp_path):
    """The gate is fitted to the training films the first time, and read the second."""
    workdir = shutil.copytree(trained, tmp_path / "run")
    films = write_release("brixia", tmp_path / "release", 20, size=96) / "dicom_clean"
    (films / "broken.dcm").write_bytes(b"DICM")
    given = [f"--checkpoint={workdir}", f"--input={films}", "--mode=predict"]
    first = run(*given, f"--output={tmp_path / 'a'}", code=1)
    assert "fitting the gate" in first.stdout and "1 could not be read" in first.stdout
    assert (workdir / "gate.json").is_file()
    second = run(*given, f"--output={tmp_path / 'b'}", code=1)
    assert "fitting the gate" not in second.stdout
    one, other = (
        (tmp_path / name / "predictions.csv").read_text() for name in ("a", "b")
    )
    assert one == other and "passed" in one
