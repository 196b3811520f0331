"""`make demo` after the quickstart: with a browser, without one, and once more."""

import csv
import os
import shutil
import subprocess
import sys

import cv2
import pytest
from browser import needs_browser
from places import REPOSITORY

pytest.importorskip("onnxruntime", reason="the extra [export] is not installed")
pytest.importorskip("playwright.sync_api")


@pytest.fixture(scope="module")
def run(trained, tmp_path_factory):
    return shutil.copytree(trained, tmp_path_factory.mktemp("demo") / "run")


def demo(run, path):
    return subprocess.run(
        [sys.executable, "-m", "docs.make.demo", f"--run={run}"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": str(path)},
        cwd=REPOSITORY,
    )


def test_without_a_browser_all_but_the_picture_is_there(run, tmp_path):
    done = demo(run, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "no picture was taken: there is no browser" in done.stdout
    with (run / "demo" / "predictions" / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 24 and not any(row["error"] for row in rows)
    assert not (run / "demo" / "page.png").exists()
    for line in done.stdout.splitlines():
        if line.startswith(("bundle ", "model card ", "predictions ", "as a page ")):
            assert os.path.exists(line.split()[-1]), line


@needs_browser
def test_the_picture_is_that_of_the_page(run):
    done = demo(run, os.environ["PATH"])
    assert done.returncode == 0, done.stderr
    picture = cv2.imread(str(run / "demo" / "page.png"))
    assert picture.shape == (880, 1280, 3)
    assert len(set(picture[:, :, 0].ravel())) > 50  # a film is on it
