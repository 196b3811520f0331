"""build.py: the command, what it prints, and what a failed build leaves."""

import errno
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import tensorflow_datasets as tfds
from tensorflow_datasets.core.dataset_metadata import valid_tags

from tfds_builders.brixia import brixia_dataset_builder as brixia
from tfds_builders.build import (
    DATASETS,
    PHANTOM_KINDS,
    build,
    is_prepared,
    make_builder,
    summary,
)
from tfds_builders.common.errors import InputError
from tfds_builders.common.phantom import KINDS, write_release


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantom") / "brixia"
    return write_release("brixia", folder, n=30, seed=1, size=64)


@pytest.fixture(scope="module")
def whole(release, tmp_path_factory):
    """data_dir of a dataset that nothing happened to."""
    data = tmp_path_factory.mktemp("whole")
    build("brixia", release, data, quiet=True)
    return data


def python(*arguments, **kwargs):
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        **kwargs,
    )


def command(*arguments, **kwargs):
    return python("-m", "tfds_builders.build", *arguments, **kwargs)


def versions(data):
    """What lies where the dataset should be."""
    folder = data / "brixia" / "512"
    return sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []


def test_command_then_its_own_snippet_without_tensorflow(release, tmp_path):
    data = tmp_path / "data"
    # The folder that holds the release does as well as its own.
    done = command("brixia", f"--manual_dir={release.parent}", f"--data_dir={data}")
    assert done.returncode == 0, done.stderr
    assert "100%" in done.stderr
    assert "Unknown size" not in done.stdout
    assert "SYNTHETIC" in done.stdout
    builder = make_builder("brixia", data)
    for split, info in builder.info.splits.items():
        assert re.search(
            rf"^ *{split} +{info.num_examples} ", done.stdout, re.MULTILINE
        )
    assert sorted(p.name for p in data.iterdir()) == ["brixia"]
    assert versions(data) == ["1.0.0"]

    snippet = done.stdout.split("Read it with\n")[1]
    program = "\n".join(line.strip() for line in snippet.strip().split("\n"))
    program += (
        "\nimport sys"
        "\nassert data['train'][0]['image'].dtype == 'uint16'"
        "\nprint([m for m in ('tensorflow', 'jax', 'tfds_builders') if m in sys.modules])"
    )
    read = python("-c", program, cwd=tmp_path)
    assert read.stdout == "[]\n", read.stderr

    again = command("brixia", f"--manual_dir={release}", f"--data_dir={data}")
    assert again.returncode == 0
    assert "Already prepared" in again.stdout
    assert str(builder.data_path) in again.stdout


def test_building_imports_neither_tensorflow_nor_jax(release, tmp_path):
    program = (
        "import sys; from tfds_builders.build import build\n"
        f"build('brixia/256', {str(release)!r}, {str(tmp_path)!r}, quiet=True)\n"
        "print([m for m in ('tensorflow', 'jax') if m in sys.modules])"
    )
    done = python("-c", program)
    assert (done.stdout, done.returncode) == ("[]\n", 0), done.stderr
    assert done.stderr == ""  # quiet means quiet


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["brixa"], "There are: brixia, covidgr, covid_radiography"),
        (["brixia/1024"], "There are: brixia/512, brixia/256"),
        ([], "NAME is one of brixia"),
        (["brixia", "--manual_dir=/nowhere/at/all"], "there is no such folder"),
        (["brixia", "--maunal_dir=x"], "Unknown command line flag 'maunal_dir'"),
    ],
)
def test_wrong_commands_end_with_a_message_alone(tmp_path, arguments, words):
    done = command(*arguments, f"--data_dir={tmp_path}")
    assert done.returncode == 1
    assert words in done.stderr
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") <= 2
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_data_dir_that_cannot_be(release, tmp_path):
    (tmp_path / "file").write_text("")
    places = [tmp_path / "file", tmp_path / "file" / "x"]
    if sys.platform == "linux":
        places.append("/proc/x")
    for place in places:
        with pytest.raises(InputError, match="--data_dir") as error:
            build("brixia", release, place, quiet=True)
        assert str(place) in str(error.value)
    done = command("brixia", f"--manual_dir={release}", f"--data_dir={places[-1]}")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ") and "Traceback" not in done.stderr


def test_home_folder(release, tmp_path):
    home = tmp_path / "home"
    shutil.copytree(release, home / "release")
    done = command(
        "brixia",
        "--manual_dir=~/release",
        "--data_dir=~/data",
        env=os.environ | {"HOME": str(home)},
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert versions(home / "data") == ["1.0.0"]
    assert [p.name for p in tmp_path.iterdir()] == ["home"]


def test_every_dataset_has_a_phantom():
    assert list(PHANTOM_KINDS) == list(DATASETS)
    assert list(PHANTOM_KINDS.values()) == list(KINDS)


def test_unprepared_says_how_to_get_the_data_and_how_to_try_a_phantom(tmp_path):
    for name in DATASETS:
        with pytest.raises(InputError) as error:
            build(name, None, tmp_path)
        message = str(error.value)
        assert f"python -m tfds_builders.build {name}" in message
        assert "--manual_dir" in message
        kind = PHANTOM_KINDS[name]
        assert f"python -m tfds_builders.common.phantom {kind}" in message


def test_through_tfds_itself(release, tmp_path, capsys):
    builder = brixia.Builder(data_dir=tmp_path, config="256")
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(manual_dir=release)
    )
    source = tfds.data_source("brixia/256", split="train", data_dir=tmp_path)
    other = tfds.builder("brixia/256", data_dir=tmp_path)
    assert len(source) == other.info.splits["train"].num_examples
    assert other.info.metadata["synthetic"]
    assert build("brixia/256", None, tmp_path).info.full_name == "brixia/256/1.0.0"


KILLED = """
import os, signal, sys
from tfds_builders.brixia import brixia_dataset_builder as brixia
from tfds_builders.build import build
left = [12]
read = brixia.read_dicom
def read_or_die(path):
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    return read(path)
brixia.read_dicom = read_or_die
build('brixia', sys.argv[1], quiet=True)
"""


def test_killed_build_leaves_nothing_that_looks_complete(release, tmp_path):
    environment = os.environ | {"TFDS_DATA_DIR": str(tmp_path)}
    done = python("-c", KILLED, release, env=environment)
    assert done.returncode == -signal.SIGKILL
    (left,) = versions(tmp_path)
    assert left.startswith("incomplete.")
    assert not is_prepared(make_builder("brixia", tmp_path))
    assert not tfds.builder("brixia/512", data_dir=tmp_path).is_prepared()
    build("brixia", release, tmp_path, quiet=True)
    assert versions(tmp_path) == ["1.0.0"]


def test_second_build_waits_for_the_first(release, tmp_path, capfd):
    from tfds_builders.build import _alone

    results = []
    thread = threading.Thread(
        target=lambda: results.append(build("brixia", release, tmp_path))
    )
    said = ""
    with _alone(make_builder("brixia", tmp_path), quiet=True):
        thread.start()
        for _ in range(1000):
            said += capfd.readouterr().out
            if "waiting" in said:
                break
            time.sleep(0.01)
        assert "Another process is building this dataset" in said
        assert versions(tmp_path) == []
        assert not results
    thread.join(60)
    assert is_prepared(results[0])


def test_two_commands_at_once(release, tmp_path):
    line = [sys.executable, "-m", "tfds_builders.build", "brixia"]
    line += [f"--manual_dir={release}", f"--data_dir={tmp_path}"]
    both = [
        subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    for process in both:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        assert b"Written to" in out
    assert versions(tmp_path) == ["1.0.0"]


def test_a_quicker_program_without_the_lock(release, tmp_path, monkeypatch):
    finished = build("brixia", release, tmp_path / "other", quiet=True)
    encode = brixia.encode_png

    def other_finishes(pixels):
        target = tmp_path / "data" / "brixia" / "512" / "1.0.0"
        if not target.exists():
            shutil.copytree(finished.data_path, target)
        return encode(pixels)

    monkeypatch.setattr(brixia, "encode_png", other_finishes)
    builder = build("brixia", release, tmp_path / "data", quiet=True)
    assert versions(tmp_path / "data") == ["1.0.0"]
    one, two = (b.as_data_source("train")[0] for b in (finished, builder))
    np.testing.assert_array_equal(one["image"], two["image"])


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES])
def test_disk_that_cannot_be_written(release, tmp_path, monkeypatch, code):
    def full(pixels):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(brixia, "encode_png", full)
    with pytest.raises(InputError, match=os.strerror(code)) as error:
        build("brixia", release, tmp_path, quiet=True)
    assert "--data_dir" in str(error.value)
    assert versions(tmp_path) == []


def test_record_writer_that_cannot_write(release, tmp_path):
    # A limit on the size of files stops the writer in the middle, like a full disk.
    done = command(
        "brixia",
        f"--manual_dir={release}",
        f"--data_dir={tmp_path}",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000)),
    )
    assert done.returncode == 1
    assert os.strerror(errno.EFBIG) in done.stderr
    assert "nothing of this build was kept" in done.stderr
    assert "Traceback" not in done.stderr
    assert versions(tmp_path) == []


def test_records_that_are_missing(release, tmp_path, monkeypatch):
    shards = brixia.shards
    monkeypatch.setattr(brixia, "shards", lambda e, count: shards(e, max(count - 1, 1)))
    with pytest.raises(InputError, match="images of train were stored"):
        build("brixia", release, tmp_path, quiet=True)
    assert versions(tmp_path) == []


def test_incomplete_copy_of_a_dataset(release, tmp_path):
    builder = build("brixia", release, tmp_path, quiet=True)
    (builder.data_path / "dataset_info.json").unlink()
    with pytest.raises(InputError, match="without dataset_info.json") as error:
        build("brixia", release, tmp_path, quiet=True)
    assert str(builder.data_path) in str(error.value)


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize(
    ("pattern", "change", "words"),
    [
        ("*-val.array_record*", lambda path: path.unlink(), "val.* is missing"),
        ("*-test.array_record*", cut, "test.* is not readable"),
        ("*-train.array_record*", lambda path: path.write_bytes(b""), "not readable"),
        ("dataset_info.json", cut, "not readable"),
        ("metadata.json", cut, "not readable"),
        ("metadata.json", lambda path: path.unlink(), "metadata.json is missing"),
        ("features.json", lambda path: path.unlink(), "features.json is missing"),
    ],
)
def test_damaged_dataset(whole, tmp_path, pattern, change, words):
    data = shutil.copytree(whole, tmp_path / "data")
    folder = data / "brixia" / "512" / "1.0.0"
    (path,) = folder.glob(pattern)
    change(path)
    with pytest.raises(InputError, match=f"damaged: .*{words}") as error:
        build("brixia", None, data, quiet=True)
    assert error.value.where == str(folder)
    assert "Remove that folder and build again" in str(error.value)


def test_file_of_another_length(whole, tmp_path):
    data = shutil.copytree(whole, tmp_path / "data")
    folder = data / "brixia" / "512" / "1.0.0"
    (train,), (val,) = folder.glob("*-train.*"), folder.glob("*-val.*")
    shutil.copy(val, train)
    with pytest.raises(InputError, match=r"damaged: .*train.* holds \d+ of \d+"):
        build("brixia", None, data, quiet=True)


def test_a_phantom_does_not_pass_for_the_real_release(release, tmp_path):
    build("brixia", release, tmp_path / "data", quiet=True)
    real = shutil.copytree(release, tmp_path / "real")
    (real / "SYNTHETIC.txt").unlink()
    with pytest.raises(InputError, match="already prepared from a synthetic release"):
        build("brixia", real, tmp_path / "data", quiet=True)


def test_empty_splits_are_named(tmp_path):
    release = write_release("covidgr", tmp_path / "r", n=3, seed=0, size=32)
    builder = build("covidgr", release, tmp_path / "data", quiet=True)
    empty = {"train", "val", "test"} - set(builder.info.splits)
    assert empty  # three images cannot fill three splits with this seed
    said = re.search(r"Empty, so not there to be read: (.*)\.", summary(builder))
    assert set(said.group(1).split(", ")) == empty


@pytest.mark.parametrize("name", DATASETS)
def test_dataset_folder_is_whole(name, tmp_path):
    builder = make_builder(name, tmp_path)
    metadata = builder.get_metadata()
    assert metadata.tags
    assert set(metadata.tags) <= set(valid_tags())
    assert metadata.citation.count("@article{") == metadata.citation.count("doi = ")
    readme = metadata.description
    assert "## Getting the data" in readme  # messages point there
    assert "## Licence" in readme
    assert "## What patient_id is" in readme
    assert 'builder.info.metadata["unit"]' in readme
    for feature in builder.info.features:
        assert f"`{feature}`" in readme
    for config in builder.builder_configs:
        assert f"`{config}`" in readme
    assert str(builder.version) in builder.RELEASE_NOTES
    common = {"image", "example_id", "patient_id", "fold"}
    assert common <= set(builder.info.features)
    assert builder.info.features["image"].shape == (None, None, 1)
