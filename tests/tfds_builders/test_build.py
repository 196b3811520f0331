"""build.py: the command, what it prints, and what a failed build leaves."""

import errno
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import numpy as np
import pytest
import tensorflow_datasets as tfds

from tfds_builders import DATASETS
from tfds_builders.brixia import brixia_dataset_builder as brixia
from tfds_builders.build import (
    build,
    is_prepared,
    make_builder,
    summary,
)
from tfds_builders.common.build.builder import Options
from tfds_builders.common.build.example_writer import ExampleWriter
from tfds_builders.common.build.ingest import shards
from tfds_builders.common.counts import count_of
from tfds_builders.common.errors import InputError
from tfds_builders.phantom import write_release


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantom") / "brixia"
    return write_release("brixia", folder, n=30, seed=1, size=64)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantom") / "covidgr"
    return write_release("covidgr", folder, n=30, seed=1, size=64)


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


def fresh_command(*arguments):
    """In a process of its own from the first import on; `build_command` does without."""
    return python("-m", "tfds_builders.build", *arguments)


def versions(data):
    """What lies where the dataset should be."""
    folder = data / "brixia" / "512"
    return sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []


def test_command_then_its_own_snippet_without_tensorflow(
    release, tmp_path, build_command
):
    data = tmp_path / "data"
    # The folder that holds the release does as well as its own.
    where = f"--manual_dir={release.parent}", f"--data_dir={data}"
    done = fresh_command("brixia", *where)
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

    again = build_command("brixia", f"--manual_dir={release}", f"--data_dir={data}")
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
        (["brixa"], "brixia, brixia_public, coronahack"),
        (["brixia/1024"], "brixia/512, brixia/256"),
        ([], "NAME is one of brixia"),
        (["brixia", "--manual_dir=/nowhere/at/all"], "there is no such folder"),
        (["brixia", "--maunal_dir=x"], "Unknown command line flag 'maunal_dir'"),
    ],
)
def test_wrong_commands_end_with_a_message_alone(
    tmp_path, build_command, arguments, words
):
    done = build_command(*arguments, f"--data_dir={tmp_path}")
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
    where = f"--manual_dir={release}", f"--data_dir={places[-1]}"
    done = fresh_command("brixia", *where)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ") and "Traceback" not in done.stderr


def test_home_folder(release, tmp_path, build_command):
    home = tmp_path / "home"
    shutil.copytree(release, home / "release")
    done = build_command(
        "brixia",
        "--manual_dir=~/release",
        "--data_dir=~/data",
        "--num_workers=0",
        env={"HOME": str(home)},
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert versions(home / "data") == ["1.0.0"]
    assert [p.name for p in tmp_path.iterdir()] == ["home"]


def test_unprepared_says_how_to_get_the_data_and_how_to_try_a_phantom(tmp_path):
    for name in DATASETS:
        with pytest.raises(InputError) as error:
            build(name, None, tmp_path)
        message = str(error.value)
        assert f"python -m tfds_builders.build {name}" in message
        assert "--manual_dir" in message
        assert f"python -m tfds_builders.phantom {name}" in message


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
read = brixia.read_radiograph
def read_or_die(path, polarity):
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    return read(path, polarity)
brixia.read_radiograph = read_or_die
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
    from tfds_builders.common.build.disk import alone

    results = []
    thread = threading.Thread(
        target=lambda: results.append(build("brixia", release, tmp_path))
    )
    said = ""
    with alone(make_builder("brixia", tmp_path), quiet=True):
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
    line += [f"--manual_dir={release}", f"--data_dir={tmp_path}", "--num_workers=0"]
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
    one_at_a_time = threading.Lock()  # two threads read films

    def other_finishes(pixels):
        target = tmp_path / "data" / "brixia" / "512" / "1.0.0"
        with one_at_a_time:
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
    def full(*_, **__):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(
        "tfds_builders.common.build.example_writer.ExampleWriter.write", full
    )
    with pytest.raises(InputError, match=os.strerror(code)) as error:
        build("brixia", release, tmp_path, quiet=True)
    assert "--data_dir" in str(error.value)
    assert versions(tmp_path) == []


def test_record_writer_that_cannot_write(release, tmp_path, build_command):
    # A limit on the size of files stops the writer in the middle, like a full disk.
    done = build_command(
        "brixia",
        f"--manual_dir={release}",
        f"--data_dir={tmp_path}",
        "--num_workers=0",
        largest_file=40_000,
    )
    assert done.returncode == 1
    assert os.strerror(errno.EFBIG) in done.stderr
    assert "nothing of this build was kept" in done.stderr
    assert "Traceback" not in done.stderr
    assert versions(tmp_path) == []


def test_records_that_are_missing(release, tmp_path, monkeypatch):
    write = ExampleWriter.write

    def forgetful(self, path, examples):
        return write(self, path, list(examples)[1:])

    monkeypatch.setattr(ExampleWriter, "write", forgetful)
    with pytest.raises(InputError, match="train.* holds .* of .* images"):
        build("brixia", release, tmp_path, quiet=True)
    assert versions(tmp_path) == []


def test_incomplete_copy_of_a_dataset(release, tmp_path):
    builder = build("brixia", release, tmp_path, quiet=True)
    (builder.data_path / "dataset_info.json").unlink()
    with pytest.raises(InputError, match="dataset_info.json") as error:
        build("brixia", release, tmp_path, quiet=True)
    assert str(builder.data_path) in str(error.value)


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("pattern", "change", "words"),
    [
        ("*-val.array_record*", lambda path: path.unlink(), "val.* is missing"),
        ("*-test.array_record*", cut, "test.* cannot be read"),
        ("*-test.array_record*", flip, "test.* (cannot be read|was changed since)"),
        ("*-train.array_record*", lambda path: path.write_bytes(b""), "cannot be read"),
        ("dataset_info.json", cut, "dataset_info.json"),
        ("metadata.json", cut, "metadata.json"),
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


def test_another_wish_does_not_pass_for_the_prepared_dataset(pictures, tmp_path):
    release = shutil.copytree(pictures, tmp_path / "release")
    build("covidgr", release, tmp_path / "data", quiet=True)
    with pytest.raises(InputError, match="already prepared with --polarity=header"):
        options = Options(polarity="pixels")
        build("covidgr", release, tmp_path / "data", quiet=True, options=options)
    name = next((release / "P").iterdir()).stem
    (release / "patients.csv").write_text(f"example_id,patient\n{name},a\n")
    with pytest.raises(InputError, match="already prepared without a patients.csv"):
        build("covidgr", release, tmp_path / "data", quiet=True)
    build("covidgr", release, tmp_path / "other", quiet=True)
    (release / "patients.csv").unlink()
    with pytest.raises(InputError, match="already prepared with a patients.csv"):
        build("covidgr", release, tmp_path / "other", quiet=True)
    # Without a release there is nothing to compare.
    assert build("covidgr", None, tmp_path / "other", quiet=True)


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("name", ["brixia", "covidgr"])
def test_any_number_of_workers_writes_the_same_bytes(
    name, release, pictures, tmp_path, monkeypatch
):
    monkeypatch.setattr(shards, "__defaults__", (7,))
    folder = {"brixia": release, "covidgr": pictures}[name]
    for workers in (0, 1, 2):
        options = Options(num_workers=workers)
        build(name, folder, tmp_path / str(workers), quiet=True, options=options)
    one, *others = (contents(tmp_path / str(workers)) for workers in (0, 1, 2))
    assert sum(".array_record" in path for path in one) > 3
    for other in others:
        assert other == one


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("apache_beam") is None, reason="Apache Beam is an extra"
)
def test_beam_in_two_processes_writes_the_same_bytes(pictures, tmp_path):
    # Beam starts its processes again for every split, so there are but two of them.
    release = shutil.copytree(pictures, tmp_path / "release")
    whole = build("covidgr", pictures, tmp_path / "whole", quiet=True)
    for example in whole.as_data_source("val"):
        (path,) = release.glob(f"*/{example['example_id'].decode()}.jpg")
        path.unlink()
    here = build("covidgr", release, tmp_path / "here", quiet=True)
    assert set(here.info.splits) == {"train", "test"}
    done = fresh_command(
        "covidgr",
        f"--manual_dir={release}",
        f"--data_dir={tmp_path / 'beam'}",
        "--num_workers=0",
        "--beam_runner=DirectRunner",
        "--beam_pipeline_options="
        "direct_num_workers=2,direct_running_mode=multi_processing",
    )
    assert done.returncode == 0, done.stderr
    assert contents(tmp_path / "beam") == contents(tmp_path / "here")


def test_beam_options_that_cannot_be(pictures, tmp_path, build_command):
    line = ["covidgr", f"--manual_dir={pictures}", f"--data_dir={tmp_path}"]
    done = build_command(*line, "--beam_pipeline_options=direct_num_workers=2")
    assert done.returncode == 1
    assert "--beam_runner=DirectRunner" in done.stderr
    if importlib.util.find_spec("apache_beam") is None:
        done = build_command(*line, "--beam_runner=DirectRunner")
        assert "pip install 'cxr_jax[beam]'" in done.stderr
    else:
        done = build_command(*line, "--beam_runner=Cheese")
        assert "Cheese" in done.stderr
    assert done.returncode == 1 and "Traceback" not in done.stderr


def spoiled(pictures, folder):
    """A copy in which two files of each class cannot be read."""
    release = shutil.copytree(pictures, folder)
    paths = []
    for label in "NP":
        one, two = sorted((release / label).iterdir())[1:3]
        one.write_bytes(b"")
        two.write_bytes(two.read_bytes()[:300])
        paths += [one, two]
    return release, paths


def test_rejected_files_stop_the_build_and_are_listed(
    pictures, tmp_path, build_command
):
    release, paths = spoiled(pictures, tmp_path / "release")
    line = ["covidgr", f"--manual_dir={release}", f"--data_dir={tmp_path / 'data'}"]
    done = build_command(*line, "--num_workers=1", "--max_rejected=3")
    assert done.returncode == 1
    assert "error: 4 files" in done.stderr
    for path in paths:
        assert str(path) in done.stderr
    assert "--max_rejected=4" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "data").rglob("*.array_record*"))


@pytest.mark.parametrize("workers", [0, 2])
def test_rejected_files_are_left_out_where_allowed(pictures, tmp_path, workers):
    release, paths = spoiled(pictures, tmp_path / "release")
    options = Options(num_workers=workers, max_rejected=4)
    builder = build("covidgr", release, tmp_path / "data", quiet=True, options=options)
    whole = build("covidgr", pictures, tmp_path / "whole", quiet=True)

    def stored(builder):
        return {
            example["example_id"].decode(): (split, example["patient_id"])
            for split in builder.info.splits
            for example in builder.as_data_source(split)
        }

    gone = {path.stem for path in paths}
    kept = {name: row for name, row in stored(whole).items() if name not in gone}
    assert stored(builder) == kept  # and nobody changed the split
    rows = (builder.data_path / "rejected.csv").read_text().splitlines()
    assert rows[0] == "path,reason,advice"
    listed = sorted(row.split(",", 1)[0] for row in rows[1:])
    assert listed == sorted(p.relative_to(release).as_posix() for p in paths)
    counts = builder.info.metadata["counts"]
    assert counts["files_unreadable"] == 4
    for split, row in builder.info.metadata["splits"].items():
        assert row["images"] == sum(s == split for s, _ in kept.values())
    assert f"  4 {count_of('files_unreadable').text}" in summary(builder)
    assert not list(builder.data_path.glob(".account*"))


def test_a_split_of_which_nothing_is_left(tmp_path):
    release = write_release("covidgr", tmp_path / "r", n=20, seed=0, size=32)
    whole = build("covidgr", release, tmp_path / "whole", quiet=True)
    for example in whole.as_data_source("val"):
        (path,) = release.glob(f"*/{example['example_id'].decode()}.jpg")
        path.write_bytes(b"")
    options = Options(max_rejected=19)
    builder = build("covidgr", release, tmp_path / "data", quiet=True, options=options)
    assert set(builder.info.splits) == {"train", "test"}
    assert "Empty, so not stored: val." in summary(builder)
    for path in release.rglob("*.jpg"):
        path.write_bytes(b"")
    with pytest.raises(InputError, match="none of its images"):
        options = Options(max_rejected=20)
        build("covidgr", release, tmp_path / "none", quiet=True, options=options)
    assert not list((tmp_path / "none").rglob("*.array_record*"))


def test_empty_splits_are_named(tmp_path):
    release = write_release("covidgr", tmp_path / "r", n=3, seed=0, size=32)
    builder = build("covidgr", release, tmp_path / "data", quiet=True)
    empty = {"train", "val", "test"} - set(builder.info.splits)
    assert empty  # three images cannot fill three splits with this seed
    said = re.search(r"Empty, so not stored: (.*)\.", summary(builder))
    assert set(said.group(1).split(", ")) == empty


def test_owners_without_a_name(pictures, tmp_path, monkeypatch):
    """As in a container with --user, or a folder of an unknown group."""

    def missing(number):
        raise KeyError(f"not found: {number}")

    monkeypatch.setattr("pwd.getpwuid", missing)
    monkeypatch.setattr("grp.getgrgid", missing)
    build("covidgr", pictures, tmp_path, quiet=True)
    assert is_prepared(make_builder("covidgr", tmp_path))


def test_a_file_system_without_locks(pictures, tmp_path, monkeypatch, capsys):
    def flock(file, how):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", flock)
    build("covidgr", pictures, tmp_path, quiet=True)
    assert capsys.readouterr().err.count("WARNING") == 1


def test_nothing_is_left_among_temporary_files(pictures, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "t"))
    (tmp_path / "t").mkdir()
    build("covidgr", pictures, tmp_path / "data", quiet=True)
    assert list((tmp_path / "t").iterdir()) == []


def test_no_home(pictures, tmp_path, build_command):
    no_user = {"HOME": "~", "TFDS_DATA_DIR": ""}  # as of a user id without a name
    done = build_command("covidgr", f"--manual_dir={pictures}", env=no_user)
    assert done.returncode == 1 and "TFDS_DATA_DIR or --data_dir" in done.stderr


def test_names_that_are_too_long(pictures, tmp_path, build_command):
    name = tmp_path / ("a" * 300)
    for line in (
        [f"--manual_dir={name}", f"--data_dir={tmp_path / 'data'}"],
        [f"--manual_dir={pictures}", f"--data_dir={name}"],
    ):
        done = build_command("covidgr", *line)
        assert done.returncode == 1 and "Traceback" not in done.stderr
        assert str(name) in done.stderr and "name" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("where", ["prepare", "examples"])
def test_a_full_disk(pictures, tmp_path, monkeypatch, where):
    full = OSError("Not enough disk space. Needed: Unknown size")
    target = "tensorflow_datasets.core.dataset_builder.DatasetBuilder"
    if where == "prepare":
        monkeypatch.setattr(f"{target}.download_and_prepare", raising(full))
    else:
        full = RuntimeError("writing: No space left on device")
        monkeypatch.setattr(ExampleWriter, "write", raising(full))
    with pytest.raises(InputError, match="No space left on device; nothing of this"):
        build("covidgr", pictures, tmp_path, quiet=True)


def raising(error):
    def fail(*args, **kwargs):
        raise error

    return fail
