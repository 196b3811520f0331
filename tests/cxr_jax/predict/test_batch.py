"""A folder of films in, a table, pictures and a page out, whatever happens on the way."""

import csv
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
import zipfile

import cv2
import dicom_writer
import numpy as np
import pytest
from places import REPOSITORY
from scorers import made_recipe, network, scorer, write_film

from cxr_jax.predict import batch, inputs, record
from cxr_jax.predict import scoring as scoring_lib
from tfds_builders.common.errors import InputError


def predict(films, output, **settings):
    return batch.predict(scorer(**settings), [str(films)], output, "off")


def rows(output):
    with (output / "predictions.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def contents(output):
    """{file: bytes} of everything that is of the films."""
    return {
        path.relative_to(output).as_posix(): path.read_bytes()
        for path in sorted(output.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


def test_a_folder(films, tmp_path, capsys):
    output = tmp_path / "out"
    assert predict(films, output) == 1  # one cannot be read
    found = rows(output)
    names = [f"a/film{k}" for k in range(4)] + ["film4"]
    names += ["broken"] + [f"b/film{k}" for k in range(4)]
    assert [row["example_id"] for row in found] == names
    assert tuple(found[0]) == record.columns(made_recipe())
    broken = found[5]
    assert "truncated or damaged" in broken["error"] and broken["gate"] == ""
    assert not broken["confidence"] and not broken["expected_A"]
    for row in found[:5] + found[6:]:
        probs = [[float(row[f"prob_{z}{k}"]) for k in range(4)] for z in "ABCDEF"]
        expected = np.array(probs) @ np.arange(4)
        given = [float(row[f"expected_{z}"]) for z in "ABCDEF"]
        np.testing.assert_allclose(given, expected, rtol=1e-5)
        assert float(row["global_low"]) < float(row["global"]) < 18
        assert float(row["global"]) == pytest.approx(expected.sum(), rel=1e-5)
        assert row["gate"] == "off" and row["path"].startswith(str(films))
    assert len(list((output / "overlays").iterdir())) == 9
    said = capsys.readouterr().out
    assert "9 films scored, 0 refused by the gate, 1 could not be read" in said
    assert "left out, as no image: 1 file (.csv)" in said


def test_the_page_has_every_film_and_asks_no_other_machine(films, tmp_path):
    output = tmp_path / "out"
    predict(films, output)
    page = (output / "index.html").read_text()
    assert "http:" not in page and "https:" not in page
    text = (output / "index_files" / "rows-0000.js").read_text()
    listed = json.loads(text.removeprefix("add(").removesuffix(");\n"))
    assert [each[0] for each in listed] == [r["example_id"] for r in rows(output)]
    for each in listed:
        if each[2]:
            assert (output / "overlays" / f"{each[2]}.png").is_file()
            assert (output / "index_files/thumbnails" / f"{each[2]}.jpg").is_file()


def test_a_name_cannot_break_the_page_or_the_table(tmp_path):
    name = "</script><b>\n=1+1"
    write_film(tmp_path / "films" / f"x{name.replace('/', '∕')}.png", 1)
    output = tmp_path / "out"
    assert predict(tmp_path / "films", output) == 0
    text = (output / "index_files" / "rows-0000.js").read_text()
    assert "<" not in text
    assert len(rows(output)) == 1
    assert predict(tmp_path / "films", output) == 0  # finished, and known as such


def test_killed_and_started_again_it_gives_the_same(films, tmp_path):
    whole = tmp_path / "whole"
    predict(films, whole, batch_size=2)
    output = tmp_path / "killed"
    program = REPOSITORY / "tests" / "support" / "slow_batch.py"
    command = [sys.executable, str(program), str(films), str(output)]
    process = subprocess.Popen(
        command, env=os.environ | {"PYTHONPATH": str(REPOSITORY)}
    )
    part = output / "predictions.part.csv"
    until = time.monotonic() + 120
    while not part.exists() or part.read_text().count("\n") < 4:
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.02)
    with pytest.raises(InputError, match="another process writes there"):
        predict(films, output, batch_size=2)
    process.kill()
    process.wait()
    assert not (output / "predictions.csv").exists()
    with part.open("a") as file:  # a row that was cut off
        file.write("half a row,without an e")
    assert predict(films, output, batch_size=2) == 1
    assert contents(output) == contents(whole)


def test_a_finished_batch_is_left_as_it_is(films, tmp_path, capsys):
    output = tmp_path / "out"
    predict(films, output)
    before = contents(output)
    assert predict(films, output) == 1
    assert "is finished" in capsys.readouterr().out
    assert contents(output) == before


def test_other_films_or_another_model_are_refused(films, tmp_path):
    output = tmp_path / "out"
    predict(films, output)
    other = scorer()._replace(recipe=made_recipe(run_digest="other"))
    with pytest.raises(InputError, match="run_digest: abc, and now other"):
        batch.predict(other, [str(films)], output, "off")
    write_film(films / "a" / "new.png", 77)
    with pytest.raises(InputError, match="films: 10, and now 11"):
        predict(films, output)


def test_a_folder_of_something_else_is_refused(films, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("x")
    with pytest.raises(InputError, match=r"thesis\.tex"):
        predict(films, tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} <= {
        "thesis.tex",
        ".lock",
    }


def test_rows_of_other_films_are_not_continued(films, tmp_path):
    output = tmp_path / "out"
    predict(films, output)
    (output / "predictions.csv").rename(output / "predictions.part.csv")
    text = (output / "predictions.part.csv").read_text()
    (output / "predictions.part.csv").write_text(text.replace("film1", "film9"))
    with pytest.raises(InputError, match="row 2 is of another film"):
        predict(films, output)


def test_an_archive_gives_what_its_films_give(films, tmp_path):
    path = tmp_path / "films.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for film in sorted(films.rglob("*")):
            if film.is_file():
                archive.write(film, f"../{film.relative_to(films)}")
        archive.writestr("__MACOSX/._film0.png", b"x")
        archive.writestr("notes.txt", b"x")
    predict(films, tmp_path / "a")
    predict(path, tmp_path / "b")
    loose, packed = rows(tmp_path / "a"), rows(tmp_path / "b")
    assert len(packed) == len(loose) == 10
    assert packed[0]["path"] == f"{path}/../a/film0.png"
    keys = [key for key in loose[0] if key.startswith(("prob", "set", "global"))]
    for one, other in zip(loose, packed, strict=True):
        assert {k: one[k] for k in keys} == {k: other[k] for k in keys}
    outside = set(tmp_path.iterdir()) - {films, path}
    assert outside == {tmp_path / "a", tmp_path / "b"}


def test_an_archive_cannot_fill_the_memory(tmp_path, monkeypatch):
    monkeypatch.setenv("CXR_MAX_MEGAPIXELS", "0.01")  # 32 MB of bytes
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.png", b"\x89PNG\r\n\x1a\n" + bytes(50_000_000))
    assert path.stat().st_size < 100_000
    assert predict(path, tmp_path / "out") == 1
    assert "above the limit" in rows(tmp_path / "out")[0]["error"]


@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_a_damaged_archive(films, tmp_path, damage):
    path = tmp_path / "films.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(3):
            archive.write(films / "a" / f"film{number}.png", f"{number}.png")
    data = bytearray(path.read_bytes())
    if damage == "cut":
        path.write_bytes(data[:-40])
        with pytest.raises(InputError, match="damaged zip"):
            predict(path, tmp_path / "out")
    else:
        data[200] ^= 255
        path.write_bytes(data)
        assert predict(path, tmp_path / "out") == 1
        errors = [row["error"] for row in rows(tmp_path / "out")]
        assert [bool(each) for each in errors] == [True, False, False]


def test_one_film_that_is_named_and_is_none(films, tmp_path):
    """What is named itself is not left out, but an error."""
    output = tmp_path / "out"
    assert predict(films / "b" / "list.csv", output) == 1
    assert "not a PNG" in rows(output)[0]["error"]


@pytest.mark.parametrize("inputs", [[], ["nothing.png"], ["no*.png"], ["empty"]])
def test_no_films(tmp_path, monkeypatch, inputs):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="--input|nothing|no file matches"):
        batch.predict(scorer(), inputs, tmp_path / "out", "off")
    assert not (tmp_path / "out").exists()


def test_commas_globs_and_repeated_names(films, tmp_path):
    (films / "c,d").mkdir()
    shutil.copy(films / "a" / "film0.png", films / "c,d" / "e.png")
    given = f"{films}/c,d,{films}/a/*.png,{films}/a".split(",")
    batch.predict(scorer(), given, tmp_path / "out", "off")
    names = [row["example_id"] for row in rows(tmp_path / "out")]
    assert names == ["e", "film0", "film1", "film2", "film3", "film4"]


def test_names_tell_all_films_apart():
    paths = ["/t/a/x.png", "/t/a/x.dcm", "/t/b/y.png", "/t/c/y.png", "z.png", "/t/a/z"]
    expected = ["x.png", "x.dcm", "b/y", "c/y", "z", "a/z"]
    assert inputs.unique_names(paths) == expected
    mixed = ["a\\b.png", "a/b.png", "b.png.dcm", "x/y.z", "x/y", "y"]
    assert len(set(inputs.unique_names(mixed))) == len(mixed)


def test_nothing_between_commas_is_nothing(films, tmp_path, monkeypatch):
    """Not the folder that the command was started in; names keep spaces and quotes."""
    monkeypatch.chdir(films)
    odd = films / 'a, "b' / "c.png"
    write_film(odd, 3)
    texts = f"{odd},, {films}/a/film0.png,".split(",")
    found = inputs.find(texts)
    assert [item.path for item in found.items] == [str(odd), f"{films}/a/film0.png"]
    with pytest.raises(InputError, match="holds no film"):
        inputs.find(["", " "])


def test_a_pipe_that_is_named_is_a_row_with_its_error(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    assert predict(tmp_path / "pipe.png", tmp_path / "out") == 1
    assert "a pipe, not a file" in rows(tmp_path / "out")[0]["error"]


def test_an_output_among_the_films_is_refused(films, tmp_path, monkeypatch):
    """Its overlays would be films when the command is started again."""
    monkeypatch.chdir(films)
    for output in (films, films / "b" / "out", pathlib.Path("out")):
        with pytest.raises(InputError, match="a folder of --input"):
            predict(films, output)
    assert not (films / "out").exists()
    assert predict(films / "a", films / "out") == 0  # beside what is scored


def test_an_output_that_is_a_file(films, tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("x")
    with pytest.raises(InputError, match="is a file"):
        predict(films, path)
    with pytest.raises(InputError, match="rename it"):
        predict(films, path / "out")
    assert path.read_text() == "x"


def test_classes(films, tmp_path):
    binary = scorer()._replace(
        recipe=made_recipe("classify"),
        network=lambda images: network(images, 1, 2),
    )
    batch.predict(binary, [str(films / "a")], tmp_path / "out", "off")
    found = rows(tmp_path / "out")
    assert tuple(found[0]) == record.columns(made_recipe("classify"))
    for row in found:
        share = float(row["prob_COVID"])
        assert row["called"] == ("COVID" if share >= 0.4 else "Normal")
        assert row["called"] in row["set"] or len(row["set"].split("|")) == 1


class _Turned:
    """A gate whose verdict is known."""


def test_what_the_gate_turns_away(films, tmp_path, monkeypatch):
    from cxr_jax.gate.judge import Finding, Verdict

    def judge(gate, look, features):
        bad = features.mean() > judge.limit
        findings = (Finding("view", 0.91, 0.5),) if bad else ()
        return Verdict(findings, not bad)

    monkeypatch.setattr(scoring_lib.judge, "judge_look", judge)
    monkeypatch.setattr(batch, "_gate_sha256", lambda scorer, mode: mode)
    gated = scorer()._replace(gate=_Turned())
    judge.limit = 0.5
    counts = {}
    for mode in ("refuse", "warn", "off"):
        output = tmp_path / mode
        batch.predict(gated, [str(films / "a")], output, mode)
        found = rows(output)
        counts[mode] = [row["gate"] for row in found]
        for row in found:
            assert bool(row["confidence"]) == (row["gate"] != "refused")
            turned = row["gate"] in ("refused", "warned")
            assert row["gate_reasons"] == ("view=0.91>0.50" if turned else "")
    assert {"passed", "refused"} == set(counts["refuse"])
    renamed = ["warned" if g == "refused" else g for g in counts["refuse"]]
    assert counts["warn"] == renamed
    assert set(counts["off"]) == {"off"}


def test_films_of_any_format_in_one_folder(tmp_path):
    folder = tmp_path / "films"
    noise = cv2.imread(str(write_film(folder / "a.png", 3)), cv2.IMREAD_UNCHANGED)
    cv2.imwrite(str(folder / "b.tiff"), noise)
    cv2.imwrite(str(folder / "c.webp"), noise, [cv2.IMWRITE_WEBP_QUALITY, 101])
    (folder / "d").write_bytes((folder / "a.png").read_bytes())
    assert predict(folder, tmp_path / "out") == 0
    found = rows(tmp_path / "out")
    assert [row["example_id"] for row in found] == list("abcd")
    assert len({tuple(v for k, v in row.items() if "prob" in k) for row in found}) == 1


@pytest.mark.parametrize("suffix", [".dcm", "", ".1234"])
def test_nothing_of_a_header_is_written(tmp_path, suffix):
    """DICOM with and without an ending; only the name of the attribute is told."""
    secrets = {"PatientName": "Maier^Anna", "PatientID": "ID4711XYZ"}
    header = dicom_writer.make_header(dicom_writer.RAMP, **secrets)
    header.StudyInstanceUID = "1.2.826.0.1.987654"
    (tmp_path / "films").mkdir()
    dicom_writer.save(tmp_path / "films" / f"film{suffix}", header)
    assert predict(tmp_path / "films", tmp_path / "out") == 0
    (row,) = rows(tmp_path / "out")
    assert "dicom_names_person:PatientName" in row["warnings"]
    written = b"".join(contents(tmp_path / "out").values())
    for secret in (b"Maier", b"Anna", b"ID4711XYZ", b"987654"):
        assert secret not in written


def test_processes_read_many_films(tmp_path, monkeypatch):
    """From so many films on; the result is the same."""
    for number in range(6):
        write_film(tmp_path / "films" / f"{number}.png", number)
    predict(tmp_path / "films", tmp_path / "threads")
    monkeypatch.setattr(batch, "_MANY", 3)
    predict(tmp_path / "films", tmp_path / "processes")
    assert contents(tmp_path / "threads") == contents(tmp_path / "processes")
