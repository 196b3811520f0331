"""The wheel, installed into an empty folder and used from another."""

import ast
import os
import re
import subprocess
import sys
import zipfile

import pytest
from places import REPOSITORY

# Files that the code names in messages, docstrings and reports.
NAMED = re.compile(r"\b(?:docs|configs|tfds_builders)/[\w/]+\.(?:md|py|toml)\b")


def pip(*arguments):
    command = [sys.executable, "-m", "pip", *arguments, "--quiet", "--no-deps"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    # A copy, so that a build leaves nothing in the checkout.
    source = folder / "source"
    names = subprocess.run(
        ["git", "-C", REPOSITORY, "ls-files", "-co", "--exclude-standard", "-z"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    for name in filter(None, names):
        if (REPOSITORY / name).is_file() and not name.startswith("tests/"):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((REPOSITORY / name).read_bytes())
    pip("wheel", str(source), "--no-build-isolation", "--wheel-dir", str(folder))
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def names(wheel):
    return set(zipfile.ZipFile(wheel).namelist())


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    folder = tmp_path_factory.mktemp("site-packages")
    pip("install", str(wheel), "--no-index", "--target", str(folder))
    return folder


@pytest.fixture
def run(installed, tmp_path, environment):
    """run('-m', module, ...) in an empty folder, with only the wheel on the path."""

    def run(*arguments):
        return subprocess.run(
            [sys.executable, *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            env={**environment, "PYTHONPATH": str(installed), "PYTHONSAFEPATH": ""},
        )

    return run


def test_top_level_names_are_specific(names):
    tops = {name.split("/")[0] for name in names if ".dist-info" not in name}
    assert tops == {"cxr_jax", "tfds_builders"}


def test_the_wheel_has_the_code_and_no_tests(names):
    for folder, prefix in (
        ("cxr_jax", ""),
        ("tfds_builders", ""),
        ("configs", "cxr_jax/"),
        ("launch", "cxr_jax/"),
    ):
        for path in (REPOSITORY / folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                assert prefix + str(path.relative_to(REPOSITORY)) in names
    assert not [name for name in names if "test" in name]


def test_the_wheel_has_every_file_that_the_code_names(names):
    for name in sorted(names):
        path = REPOSITORY / name.replace("cxr_jax/configs/", "configs/")
        path = path if path.exists() else REPOSITORY / name.removeprefix("cxr_jax/")
        if not name.endswith(".py"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                for found in NAMED.findall(node.value):
                    if "NAME" not in found:
                        assert {found, f"cxr_jax/{found}"} & names, (name, found)


def test_a_shipped_config_trains_to_its_report(run, tmp_path):
    done = run(
        *("-m", "cxr_jax.main", "--config=quickstart.py", "--workdir=runs/a"),
        *("--config.total=2 steps", "--config.data.phantom=60"),
        *("--config.batch_size=8", "--config.resamples=20"),
        *("--config.model.widths=(4, 8)", "--config.model.stem_stride=1"),
        "--config.data.size=48",
        "--config.preprocess.train=to_float|flip_lr|standardise",
        "--config.preprocess.eval=to_float|standardise",
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs/a/report/report.html").exists()
    # A file of one's own comes first.
    (tmp_path / "quickstart.py").write_text("raise ValueError('mine')")
    done = run("-m", "cxr_jax.main", "--config=quickstart.py", "--workdir=runs/a")
    assert done.returncode == 1 and "mine" in done.stderr


@pytest.mark.parametrize(
    "script, flag", [("cxr-jax", "--workdir"), ("cxr-jax-build", "--manual_dir")]
)
def test_console_scripts_show_their_flags(run, installed, script, flag):
    assert flag in run(str(installed / "bin" / script), "--help").stdout


def test_an_unknown_config_lists_the_shipped(run):
    done = run("-m", "cxr_jax.main", "--config=brixa.py", "--workdir=runs/a")
    assert done.returncode == 1
    assert "brixia.py" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "arguments, shown",
    [
        (["cxr_jax.main", "--help"], "--workdir"),
        (["cxr_jax.launch.sweep", "loss.py", "--workdir=r", "--dry_run"], "[60/60]"),
        (["cxr_jax.launch.collect"], "python -m cxr_jax.launch.collect"),
        (["tfds_builders.build", "--help"], "--manual_dir"),
        (["tfds_builders.phantom", "--help"], "--n"),
    ],
)
def test_commands(run, arguments, shown):
    done = run("-m", *arguments)
    assert shown in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_console_scripts_exist(installed):
    for name, where in (
        ("cxr-jax", "cxr_jax.main"),
        ("cxr-jax-build", "tfds_builders"),
    ):
        script = installed / "bin" / name
        assert where in script.read_text() and os.access(script, os.X_OK)


def test_the_wheel_is_what_was_imported(run, installed):
    code = "import cxr_jax, cxr_jax.configs.common as c; print(cxr_jax.__file__, c.__file__)"
    done = run("-c", code)
    assert done.stdout.count(str(installed)) == 2


# Of docs/deployment.md: all that a bundle needs beside the wheel.
NEEDED = ("numpy", "opencv-python-headless", "pydicom", "onnxruntime")
SCORE = """
import sys
from cxr_jax.bundle import load
rows = load(sys.argv[1]).predict(sys.argv[2], gate="warn")
blocked = {"jax", "flax", "tensorflow_datasets", "scipy", "sklearn"} & set(sys.modules)
print(rows[0]["example_id"], 0 <= rows[0]["global"] <= 18, blocked)
"""


@pytest.mark.slow
def test_a_bundle_is_scored_where_nothing_else_is_installed(
    wheel, bundle_of_trained, tmp_path
):
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    python = str(venv / "bin" / "python")
    install = [python, "-m", "pip", "install", "--quiet"]
    pinned = ["--constraint", str(REPOSITORY / "constraints.txt")]
    subprocess.run([*install, *pinned, *NEEDED], check=True)
    subprocess.run([*install, "--no-deps", str(wheel)], check=True)
    film = bundle_of_trained / "golden" / "0.png"
    done = subprocess.run(
        [python, "-c", SCORE, str(bundle_of_trained), str(film)],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["0", "True", "set()"]
