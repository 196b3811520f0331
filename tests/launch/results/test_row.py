"""The rows: the shipped ones can be run, and what is no row is refused."""

import pathlib
import shutil

import pytest
from places import REPOSITORY

from launch.results import arms, row
from launch.results.arms import Settings
from launch.results.row import Arm, Row
from tfds_builders import DATASETS
from tfds_builders.build import make_builder
from tfds_builders.common.errors import InputError

ROWS = row.read()
ARMS = [(each, name) for each in ROWS for name in each.arms]
ROW = """
[[row]]
name = "a"
title = "A"
metric = "auroc"
protocol = "as it is"
"""


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize(
    "each, name", ARMS, ids=[f"{each.name}-{name}" for each, name in ARMS]
)
def test_the_configs_of_an_arm_exist_and_take_its_changes(each, name, quick):
    settings = Settings(pathlib.Path("out"), pathlib.Path("weights.npz"), quick)
    made = arms.runs(each, name, settings)
    arm = each.arms[name]
    assert len(made) == (1 if quick else len(arm.seeds)) * len(arm.folds)
    assert len({run.folder for run in made}) == len(made)
    for run in made:
        trained_on = run.config["data"]["dataset"]
        assert (
            arm.trees
            or trained_on.split("/")[0] == each.dataset.split("/")[0]
            or (not each.dataset and run.config["data"]["phantom"])
        )


@pytest.mark.parametrize("each", ROWS, ids=[each.name for each in ROWS])
def test_the_dataset_of_a_row_has_a_builder(each, tmp_path):
    if each.dataset:
        assert each.dataset.split("/")[0] in DATASETS
        make_builder(each.dataset, tmp_path)


def test_folds_share_a_program_and_short_trainings_may_have_other_arguments(tmp_path):
    arm = Arm("configs/brixia_public.py", (0, 1), (0, 1), quick_config="b.py:size=32")
    own = Row("a", "A", "mae_zone", "as it is", arms={"honest": arm})
    (job,) = arms.make_jobs(own, "honest", Settings(tmp_path), None)
    assert len(job.parts) == 4 and job.shares
    assert f"--workdir={tmp_path}/a/honest" in job.command
    assert arms.config(arm, Settings(tmp_path)) == arm.config
    assert arms.config(arm, Settings(tmp_path, quick=True)) == "b.py:size=32"


def test_the_command_of_a_run_is_one_that_a_person_may_type(tmp_path):
    (each,) = (each for each in ROWS if each.name == "covidgr")
    made = arms.make_jobs(each, "honest", Settings(tmp_path), tmp_path / "data")
    (job,) = made
    assert job.command[1:3] == ("-m", "cxr_jax.main")
    assert f"--workdir={tmp_path}/covidgr/honest/seed=0,fold=-1" in job.command
    assert f"--config.data.data_dir={tmp_path}/data" in job.command
    config = next(c for c in job.command if c.startswith("--config="))
    assert (REPOSITORY / config.removeprefix("--config=").partition(":")[0]).is_file()


def test_weights_that_are_needed_are_asked_for():
    each = Row("a", "A", "auroc", "p", arms={"honest": Arm("c.py:weights={weights}")})
    with pytest.raises(InputError, match="--weights"):
        arms.runs(each, "honest", Settings(pathlib.Path("out")))


@pytest.mark.parametrize(
    "text, message",
    [
        (ROW + "colour = 3", "colour"),
        (ROW + ROW, "twice: a"),
        (ROW.replace('"auroc"', '"beauty"'), "beauty"),
        (ROW.replace('"auroc"', "3"), "metric is 3"),
        (ROW.replace("title", "titel"), "title"),
        (ROW + "[row.arms.best]\nconfig = 'a.py'", "an arm best"),
        (ROW + "[row.claim]\ntext = 'x'\non = 'y'", "source"),
        ("[[row", "not TOML"),
    ],
)
def test_what_is_not_a_row_is_refused(tmp_path, text, message):
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(InputError, match=message):
        row.read(tmp_path)


def test_a_name_may_not_be_in_two_files(tmp_path):
    (tmp_path / "a.toml").write_text(ROW)
    shutil.copy(tmp_path / "a.toml", tmp_path / "b.toml")
    with pytest.raises(InputError, match="twice: a"):
        row.read(tmp_path)
