"""The audit as a user meets it: through the command, and as files."""

import importlib
import json
import re
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest
import toys
from places import REPOSITORY

from configs import covidgr
from cxr_jax.audits.data import audit, dataset
from tfds_builders.common.errors import InputError


def config_of(dataset, data_dir, **changes):
    config = covidgr.get_config()
    config.data.dataset, config.data.data_dir = dataset, str(data_dir)
    config.data.val = "train[:25%]"
    config.data.train = "train[25%:]"
    config.resamples = 20
    config.update_from_flattened_dict(changes)
    return config.lock()


def content_of(workdir):
    return json.loads((workdir / "audit.json").read_text())


def found_in(content):
    """The verdicts on leakage and copies."""
    return [each for each in content["verdicts"] if "images" in each["values"]]


def test_leaking_and_clean_together(prepared, tmp_path, capsys):
    assert audit.of_names(["leaking", "clean"], str(prepared), tmp_path) == 1
    said = capsys.readouterr().out
    assert said.startswith("LEAKAGE: 3 findings\n")
    assert max(map(len, said.splitlines())) <= 88 + len(str(tmp_path))
    content = content_of(tmp_path)
    assert content["leakage"] is True
    assert [(v["kind"], v["values"]["images"]) for v in found_in(content)] == [
        ("patients_across_splits", 1),
        ("identical_images_across_splits", 1),
        ("near_duplicates_across_splits", 1),
        ("identical_images_across_datasets", 50),
    ]
    leaks = [p for p in content["pairs"] if p["kind"] == "across splits"]
    assert [(p["left"]["example_id"], p["right"]["example_id"]) for p in leaks] == [
        ("a5", "b3"),
        ("a6", "b4"),
    ]
    assert [(p["identical"], p["mirrored"]) for p in leaks] == [
        (True, False),
        (False, True),
    ]
    assert leaks[0]["left"]["split"] == "train" and leaks[0]["right"]["split"] == "test"
    assert content["pairs"][0] == leaks[0]
    assert set(content["datasets"]) == {"leaking", "clean"}
    reached = content["datasets"]["clean"]["without_a_lung"]
    assert list(reached) == [
        "border", "border_histogram", "size", "metadata", "histogram", "thumbnail",
    ]  # fmt: skip
    assert [b["sees_lung"] for b in reached.values()] == [False] * 4 + [True] * 2
    assert reached["border"]["auroc"]["n"] == 52
    sheets = sorted(tmp_path.glob("*.png"))
    pages = -(-len(content["pairs"]) // 40)
    assert [p.name for p in sheets] == [f"copies-{k + 1}.png" for k in range(pages)]
    assert cv2.imread(str(sheets[0])).shape[1] > 800
    # A second audit of other data leaves nothing of the first.
    assert audit.of_names(["clean"], str(prepared), tmp_path) == 0
    assert content_of(tmp_path)["leakage"] is False
    assert list(tmp_path.glob("*.png")) == []


def test_the_same_data_give_the_same_file(prepared, tmp_path):
    for k in range(2):
        audit.of_names(["leaking"], str(prepared), tmp_path / str(k))
    for name in ("audit.json", "copies-1.png"):
        one, other = (tmp_path / str(k) / name for k in range(2))
        assert one.read_bytes() == other.read_bytes()


def test_a_config_says_splits_labels_and_what_is_allowed(prepared, tmp_path):
    config = config_of("leaking", prepared)
    assert audit.of_config(config, tmp_path) == 1
    content = content_of(tmp_path)
    assert set(content["datasets"]["leaking"]["contents"]["splits"]) == {
        "train",
        "val",
        "test",
    }
    names = [v["kind"] for v in found_in(content)]
    allowed = config_of("leaking", prepared, **{"audit.allow": tuple(names)})
    assert audit.of_config(allowed, tmp_path) == 0
    assert all(v["values"]["allowed"] for v in found_in(content_of(tmp_path)))
    unknown = config_of("leaking", prepared, **{"audit.allow": ("overlap",)})
    with pytest.raises(InputError, match="'overlap' is unknown"):
        audit.of_config(unknown, tmp_path)


def test_an_external_test_set_that_was_trained_on_is_leakage(prepared, tmp_path):
    config = config_of("clean", prepared, **{"audit.against": ("leaking",)})
    assert audit.of_config(config, tmp_path) == 1
    content = content_of(tmp_path)
    found = {v["kind"]: v["values"]["images"] for v in found_in(content)}
    # Of leaking:test, b3 and b4 are copies of train; the others of clean's own test.
    assert found["identical_images_in_external_test"] == 1
    assert found["near_duplicates_in_external_test"] == 1
    assert found["identical_images_across_datasets"] == 40 + 10
    assert set(content["datasets"]) == {"clean"}
    assert content["external"]["leaking"]["tested"] == "test"
    whole = config_of("clean", prepared, **{"audit.against": ("leaking:train+test",)})
    assert audit.of_config(whole, tmp_path) == 1
    found = {v["kind"]: v["values"]["images"] for v in found_in(content_of(tmp_path))}
    assert found["identical_images_in_external_test"] == 41


def test_an_image_in_two_roles_is_told_not_refused(prepared, tmp_path):
    config = config_of("clean", prepared, **{"data.train": "train"})
    assert audit.of_config(config, tmp_path) == 1
    found = {v["kind"]: v["values"]["images"] for v in found_in(content_of(tmp_path))}
    assert found == {
        "patients_across_splits": 10,
        "identical_images_across_splits": 10,
    }


@pytest.mark.parametrize(
    "name, pairs, fewest",
    [
        # Tested on train; the checkpoint chosen on test; 37 % of test in train.
        ("s1_cnn", ["train-test"], 3),
        ("s2_cnn", ["val-test"], 1),
        ("s3_cnn", ["train-test"], 1),
    ],
)
def test_what_was_published_is_named_as_leakage(
    prepared, tmp_path, name, pairs, fewest
):
    """The splits of a reproduction's config, on any dataset: default and published."""
    module = importlib.import_module(f"configs.reproductions.{name}")
    for argument in ("", "as_published"):
        data = module.get_config(argument or None).data
        # The toy has no val of its own; the rest of train stands for it.
        parts = {"train": "train[25%:]", "val": "train[:25%]"}
        own = {f"data.{role}": data[role] for role in ("train", "val", "test")}
        for key, text in own.items():
            for role, part in parts.items():
                text = re.sub(rf"(?<![a-z]){role}(?![a-z])", part, text)
            own[key] = text
        config = config_of("clean", prepared, **own)
        audited = audit.of_config(config, tmp_path)
        found = [
            v["values"]
            for v in found_in(content_of(tmp_path))
            if v["kind"] == "identical_images_across_splits"
        ]
        assert audited == bool(argument)
        if argument:
            named = {"-".join(sorted((v["split"], v["other_split"]))) for v in found}
            assert named == {"-".join(sorted(p.split("-"))) for p in pairs}
            assert sum(v["images"] for v in found) >= fewest
        else:
            assert not found


@pytest.mark.parametrize(
    "labels, classes, said",
    [
        ([1], ("N", "P"), "fewer than two classes"),
        ([1] * 12, ("N", "P"), "fewer than two classes"),
        ([0] * 12, (), "has no label"),
    ],
)
def test_one_image_one_class_and_no_label(tmp_path, capsys, labels, classes, said):
    names = [f"x{k}" for k in range(len(labels))]
    columns = {
        "sex": [""] * len(names),
        "age": np.full(len(names), np.nan),
        "source": ["", "https://a.org/1"] * 6,
    }
    columns["source"] = columns["source"][: len(names)]
    table = toys.rows(names, labels=labels, **columns)
    if not classes:
        del table["label"]
    toys.prepare(tmp_path / "data", "small", {"train": table}, classes=classes)
    assert audit.of_names(["small"], str(tmp_path / "data"), tmp_path) == 0
    assert said in " ".join(capsys.readouterr().out.split())
    described = content_of(tmp_path)["datasets"]["small"]
    assert described["no_attributes"]["sex"] == "always missing"
    assert described["no_attributes"]["age"] == "always missing"
    json.dumps(described, allow_nan=False)


def test_scores_are_audited_too(brixia_data, tmp_path, capsys):
    assert audit.of_names(["brixia/256"], str(brixia_data), tmp_path) in (0, 1)
    said = capsys.readouterr().out
    assert "zone F, images of level 0/1/2/3" in said and "SYNTHETIC" in said
    described = content_of(tmp_path)["datasets"]["brixia/256"]
    assert described["target"]["name"] == "global score"
    assert {a["attribute"]: a["measure"] for a in described["associations"]}[
        "manufacturer"
    ] == "epsilon"
    counted = described["contents"]["splits"]["train"]
    assert all(sum(levels) == counted["images"] for levels in counted["zones"].values())


def test_two_datasets_of_one_name(prepared, tmp_path, capsys):
    """Every tree of one's own is an image_folder; the folder tells them apart."""
    other = shutil.copytree(prepared / "clean", tmp_path / "other" / "clean").parent
    names = [f"clean@{prepared}", f"clean@{other}"]
    assert audit.of_names(names, "", tmp_path / "audit") == 0
    content = content_of(tmp_path / "audit")
    assert set(content["datasets"]) == set(names)
    across = [v for v in content["verdicts"] if "across_datasets" in v["kind"]]
    assert across[0]["values"]["images"] == across[0]["values"]["of"]
    assert names[1] in capsys.readouterr().out
    found = dataset.external(f"{names[1]}:test", "")
    assert (found.name, found.tested, set(found.splits)) == (names[1], "test", {"test"})
    assert set(dataset.external(names[1], "").splits) == {"train", "test"}


def test_mistakes_are_messages(prepared, tmp_path):
    with pytest.raises(InputError, match="is given twice"):
        audit.of_names(["clean", "clean"], str(prepared), tmp_path)
    with pytest.raises(InputError, match="contains no prepared dataset"):
        audit.of_names(["brixia"], str(prepared), tmp_path)
    table = toys.rows(["a", "b"])
    del table["patient_id"]
    toys.prepare(tmp_path / "data", "nobody", {"train": table})
    with pytest.raises(InputError, match="has no column 'patient_id'"):
        audit.of_names(["nobody"], str(tmp_path / "data"), tmp_path)


def run(environment, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "cxr_jax.main", "--mode=audit", *arguments],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
        cwd=REPOSITORY,
    )


def test_exit_codes_of_the_command(environment, prepared, tmp_path):
    where = f"--workdir={tmp_path / 'audit'}"
    done = run(environment, "--dataset=tiny", f"--data_dir={prepared}", where)
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("LEAKAGE: 1 finding\n")
    assert "Traceback" not in done.stderr
    assert content_of(tmp_path / "audit")["leakage"] is True
    done = run(
        environment,
        "--config=configs/covidgr.py",
        "--config.data.dataset=tiny",
        f"--config.data.data_dir={prepared}",
        "--config.data.val=train[:25%]",
        "--config.data.train=train[25%:]",
        "--config.resamples=20",
        "--config.audit.allow=('patients_across_splits',)",
        where,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("No leakage found, other than what is allowed\n")


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--config=configs/covidgr.py", "--dataset=clean"], "takes one of the two"),
        (["--mode=train", "--dataset=clean"], "belong to --mode=audit"),
    ],
)
def test_mistakes_on_the_command_line(environment, tmp_path, arguments, message):
    done = run(environment, *arguments, f"--workdir={tmp_path}")
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
