"""Every config, with every argument, and every run of every sweep builds."""

import importlib.util
import json
import pathlib

import jax
import numpy as np
import pytest

from cxr_jax import config as config_lib
from cxr_jax import experiment, optim, rng, trees
from cxr_jax.steps import Settings
from launch import plan

CONFIGS = pathlib.Path(__file__).resolve().parent.parent / "configs"
FILES = sorted(p for p in CONFIGS.rglob("*.py") if p.name != "common.py")
ARGUMENTS = {
    "brixia": ("phantom", "overlap", "fold=2"),
    "bsnet": (
        "segment,phantom",
        "align,size=64",
        "score",
        "all,fold=1",
        "as_published",
        "segment,as_published",
    ),
    "best_brixia": ("lungs,weights=w.npz", "phantom,size=64", "lungs,epochs=3"),
    "covidgr": ("phantom", "fold=0", "binary"),
    "radiography": ("phantom", "binary", "fold=4"),
    "s1_cnn": ("phantom", "as_published,size=128"),
    "s2_cnn": ("phantom", "as_published", "classes=A+B"),
    "s0_severity": ("phantom", "covidgr", "covidgr,phantom,size=64", "fold=1"),
    "s3_cnn": (
        "phantom",
        "as_published",
        "net=mobilenet_v2",
        "net=resnet101_v2",
        "net=densenet201,as_published",
    ),
    "s4_cnn": ("phantom", "as_published,phantom", "as_published,films"),
    "loss": ("brixia", "start=runs/a"),
    "enhancement": ("radiography",),
    "split": ("base=radiography",),
    "pretraining": ("on=simclr", "on=labels", "on=phantoms"),
    "covid_chestxray": ("phantom", "fold=3"),
    "seeds": ("brixia",),
    "folds": ("brixia",),
    "controls": ("base=covidgr", "base=brixia,size=64"),
    "covid_external": ("phantom", "pooled,size=96"),
    "protocols": ("phantom", "protocol=covidx_ct", "protocol=covid_xray_5k"),
    "image_folder": ("phantom", "classes=A+B+C,size=128"),
    "simclr": ("dataset=covidgr/256", "size=96"),
}
SETTINGS = Settings(*[jax.ShapeDtypeStruct((), np.float32)] * 3)
CASES = [(p, a) for p in FILES for a in (None, *ARGUMENTS.get(p.stem, ()))]


def load(path: pathlib.Path):
    spec = importlib.util.spec_from_file_location(f"config_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# What the steps are made of; the rest of a config is checked for each of them.
PROGRAM = ("model", "task", "preprocess", "optim", "batch_size", "accumulate")
TRACED: dict[str, experiment.Experiment] = {}


def build(config):
    """Builds a config, and traces its step unless that of an equal program was."""
    content = json.loads(config_lib.to_json(config))
    parts = [content[name] for name in PROGRAM]
    program = json.dumps([parts, content["data"]["size"], content["data"]["masks"]])
    if program in TRACED:
        return experiment.variant(TRACED[program], config.lock(), train_examples=100)
    TRACED[program] = traced(config)
    return TRACED[program]


def traced(config):
    classes = len(config.task.settings.get("classes", ())) or 1
    exp = experiment.build(
        config.lock(), train_examples=100, class_counts=np.full(classes, 25)
    )
    key = jax.eval_shape(lambda: rng.root(0))
    batch = experiment.abstract_batch(config, exp.task, np.uint16)
    state, metrics = jax.eval_shape(
        exp.train_step, exp.abstract_state, batch, key, SETTINGS
    )
    assert jax.tree.structure(state) == jax.tree.structure(exp.abstract_state)
    assert metrics["loss"].shape == ()
    return exp


def get_config(path, argument):
    return load(path).get_config(argument)


@pytest.mark.parametrize(
    "path, argument", CASES, ids=[f"{p.stem}:{a or ''}" for p, a in CASES]
)
def test_config_builds(path, argument):
    config = get_config(path, argument)
    if config.data.data_dir:
        raise AssertionError("a config must not name a folder of one machine")
    build(config)
    assert load(path).__doc__.strip(), "a config says what it is and its command"
    assert "python -m" in load(path).__doc__


@pytest.mark.parametrize(
    "path", sorted((CONFIGS / "ablations").glob("*.py")), ids=lambda p: p.stem
)
def test_every_run_of_a_sweep_builds(path):
    seen = set()
    for run in plan.load(str(path)):
        config = load(path).get_config()
        config.update_from_flattened_dict(run.overrides)
        # The seed changes nothing of the program.
        settings = config_lib.to_json(config).replace(f'"seed": {config.seed}', "")
        if settings not in seen:
            seen.add(settings)
            build(config)


@pytest.mark.parametrize(
    "name, parameters, statistics",
    [
        ("s1_cnn", 229_585, 5_472),
        ("s2_cnn", 2_314_337 - 960, 960),
        ("s3_cnn", 422_177, 0),
        ("s4_cnn", 2_900_868, 42_560),
    ],
)
def test_reproductions_have_the_published_size(name, parameters, statistics):
    exp = build(load(CONFIGS / "reproductions" / f"{name}.py").get_config())
    assert trees.size(exp.abstract_state.params) == parameters
    assert trees.size(exp.abstract_state.model_state) == statistics


def test_s4_as_published_trains_as_long_as_the_public_code():
    path, films = CONFIGS / "reproductions" / "s4_cnn.py", 12_800
    config = load(path).get_config("as_published")
    exp = experiment.build(config.lock(), train_examples=films)
    # Its steps per epoch: len(generator) // 16, of batches of 16.
    steps = films // 16 // 16
    assert (exp.eval_steps, exp.total_steps) == (steps, 300 * steps)
    assert exp.total_steps * config.batch_size / films == 18.75
    assert config.plateau.patience * steps * 16 / films == 0.625
    default = load(path).get_config()
    exp = experiment.build(default.lock(), train_examples=films)
    assert exp.total_steps == 300 * films // 16


def test_s3_as_published_is_three_hundred_steps_without_dropout():
    config = load(CONFIGS / "reproductions" / "s3_cnn.py").get_config("as_published")
    exp = experiment.build(config.lock(), train_examples=5_000)
    assert (exp.total_steps, exp.eval_steps, config.batch_size) == (300, 3, 32)
    assert exp.model.dropout == 0.0
    assert "method='nearest'" in config.preprocess.eval
    assert "stretch=True" in config.preprocess.train


@pytest.mark.parametrize(
    "net, trunk, statistics, channels",
    [
        # Trunks as published without their head (torchvision, Keras): parameters of
        # the whole less those of the dense layer of 1000 outputs.
        ("mobilenet_v2", 3_504_872 - 1_281_000, 34_112, 1280),
        ("densenet201", 20_013_928 - 1_921_000, 229_056, 1920),
        ("resnet101_v2", 44_675_560 - 97_664 - 2_049_000, 97_664, 2048),
    ],
)
def test_the_pretrained_networks_of_s3(net, trunk, statistics, channels):
    """Frozen trunk; 8 x 8 x C averaged to 4 x 4 x C, dense 64, dense 2."""
    config = load(CONFIGS / "reproductions" / "s3_cnn.py").get_config(f"net={net}")
    exp = build(config)
    head = 16 * channels * 64 + 64 + 64 * 2 + 2
    assert trees.size(exp.abstract_state.params) == trunk + head
    assert trees.size(exp.abstract_state.model_state) == statistics
    rates = optim.layer_rates(config.optim.layers, exp.abstract_state.params, int)
    learnt = {name.split("/")[0] for name, rate in rates.items() if rate.factor}
    assert len(learnt) == 2 and "projection" in learnt
    assert (config.batch_size, config.total, config.optim.lr) == (8, "10 epochs", 1e-4)


@pytest.mark.parametrize("name", ["s1_cnn", "s2_cnn", "s3_cnn", "s4_cnn"])
def test_only_what_was_published_leaks(name):
    """In the honest default train, val and test are the splits of the dataset."""
    path = CONFIGS / "reproductions" / f"{name}.py"
    honest = load(path).get_config().data
    assert (honest.train, honest.val, honest.test) == ("train", "val", "test")
    assert not honest.leaks and honest.split_by == "patient"
    leaky = load(path).get_config("as_published").data
    assert leaky.leaks
    assert (leaky.train, leaky.val, leaky.test) != ("train", "val", "test")


def test_configs_are_json():
    for path, argument in CASES:
        assert config_lib.to_json(get_config(path, argument)).startswith("{")
