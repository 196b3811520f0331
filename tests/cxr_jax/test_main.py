"""The command line as a user meets it."""

import json
import subprocess
import sys

import pytest


def run(environment, *arguments, code=0):
    done = subprocess.run(
        [sys.executable, "-m", "cxr_jax.main", *arguments],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done


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
        ([QUICKSTART, "--config.total=long"], "'long' is no duration"),
        ([QUICKSTART, "--config.preprocess.train=to_flot"], "to_float"),
        ([QUICKSTART, "surplus"], "surplus"),
        (["--mode=eval"], "no such file"),
        ([], "--config"),
    ],
)
def test_mistakes_are_one_message_and_exit_code_1(
    environment, tmp_path, arguments, message
):
    workdir = f"--workdir={tmp_path / 'run'}"
    small = ["--config.data.phantom=12"] if QUICKSTART in arguments else []
    done = run(environment, *arguments, *small, workdir, code=1)
    assert "error:" in done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_quickstart_in_small_then_eval_without_tensorflow(environment, tmp_path):
    workdir = tmp_path / "run"
    small = [
        "--config.data.phantom=40",
        "--config.data.size=48",
        "--config.preprocess.train=to_float|flip_lr|standardise",
        "--config.preprocess.eval=to_float|standardise",
        "--config.total=4steps",
        "--config.batch_size=8",
        "--config.model.widths=(4,8)",
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
    evaluated = run(environment, "--mode=eval", f"--workdir={workdir}")
    assert "mae_zone" in evaluated.stdout
    again = json.loads((workdir / "evaluations/brixia_256-test.json").read_text())
    assert again["metrics"]["test/mae_zone"] == metrics["test/mae_zone"]
