"""Every config, with every argument, and every run of every sweep builds."""

import importlib.util
import pathlib

import jax
import numpy as np
import pytest

from cxr_jax import config as config_lib
from cxr_jax import experiment, rng, trees
from cxr_jax.steps import Settings
from launch import plan

CONFIGS = pathlib.Path(__file__).resolve().parent.parent / "configs"
FILES = sorted(p for p in CONFIGS.rglob("*.py") if p.name != "common.py")
ARGUMENTS = {
    "brixia": ("phantom", "overlap", "fold=2"),
    "bsnet": ("segment,phantom", "align,size=64", "score", "all,fold=1"),
    "covidgr": ("phantom", "fold=0", "binary"),
    "radiography": ("phantom", "binary", "fold=4"),
    "s3_cnn": ("phantom",),
    "s4_cnn": ("phantom",),
    "loss": ("brixia",),
    "seeds": ("brixia",),
    "folds": ("brixia",),
    "controls": ("base=covidgr", "base=brixia,size=64"),
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


def build(config):
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
    [("s3_cnn", 422_177, 0), ("s4_cnn", 2_900_868, 42_560)],
)
def test_reproductions_have_the_published_size(name, parameters, statistics):
    exp = build(load(CONFIGS / "reproductions" / f"{name}.py").get_config())
    assert trees.size(exp.abstract_state.params) == parameters
    assert trees.size(exp.abstract_state.model_state) == statistics


def test_configs_are_json():
    for path, argument in CASES:
        assert config_lib.to_json(get_config(path, argument)).startswith("{")
