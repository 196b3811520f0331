"""Features of the zones of all films of a dataset, from a trunk that is never trained."""

from __future__ import annotations

import io
import pathlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from cxr_jax import config as config_lib
from cxr_jax import experiment, trees
from cxr_jax.data import builders, decode, roles
from cxr_jax.models import lung_boxes, lung_zones
from cxr_jax.ops.registry import make_preprocess
from cxr_jax.runs import restore
from cxr_jax.weights import init_from
from tfds_builders.common import files
from tfds_builders.common.errors import InputError
from tfds_builders.common.zones import ZONES
from tfds_builders.covid_chestxray.findings import CLASSES

_BATCH = 8
_COHEN = "covid_chestxray/512"
UNTESTED = -1  # the fold of films that are in every training
_DAMAGED = "remove it: it is computed again"


class Zones(NamedTuple):
    """Of N films, in the order of their ids.

    Attributes:
      example_ids, patient_ids: N of each. fold: [N], UNTESTED of some.
      senior, junior: scores [N, 6].
      groups: features [N, 6, F] of each kind, of the lungs.
      plain: the same of the trunk's maps alone, where a zone is a third of half of the
        film, lungs or not.
    """

    example_ids: list[str]
    patient_ids: list[str]
    fold: np.ndarray
    senior: np.ndarray
    junior: np.ndarray
    groups: list[np.ndarray]
    plain: list[np.ndarray]


def scored(config: dict[str, Any], lungs: pathlib.Path, kept: pathlib.Path) -> Zones:
    """Those of the films with scores, or what an earlier call has left in `kept`.

    Args:
      config: of a run of the fitted model.
      lungs: the run that found the lungs.
    """
    made = _config(config)
    split = builders.load(
        builders.open_builder(made.data.dataset, made.data.data_dir), "all"
    )
    order = np.argsort(split.table["example_id"])
    table = split.table
    return _zones(
        made,
        lungs,
        kept,
        split,
        order,
        fold=np.asarray(table["fold"])[order],
        senior=np.asarray(table["scores"])[order],
        junior=np.asarray(table["scores_junior"])[order],
    )


def healthy(config: dict[str, Any], lungs: pathlib.Path, kept: pathlib.Path) -> Zones:
    """Those of films of Cohen's collection that show no finding: every score is 0.

    They are never tested on, and have the fold -1. Nobody has scored them; that there
    is nothing to see is what a score of 0 means.
    """
    made = _config(config)
    split = builders.load(builders.open_builder(_COHEN, made.data.data_dir), "all")
    names = np.array([split.label_names["label"][k] for k in split.table["label"]])
    order = np.argsort(split.table["example_id"])
    order = order[names[order] == CLASSES[0]]
    none = np.zeros((len(order), len(ZONES)), int)
    fold = np.full(len(order), UNTESTED)
    return _zones(made, lungs, kept, split, order, fold=fold, senior=none, junior=none)


def joined(one: Zones, other: Zones) -> Zones:
    """The films of both."""
    if not other.example_ids:
        return one
    pairs = zip(one.groups, other.groups, strict=True)
    plain = zip(one.plain, other.plain, strict=True)
    return Zones(
        one.example_ids + other.example_ids,
        one.patient_ids + other.patient_ids,
        np.concatenate([one.fold, other.fold]),
        np.concatenate([one.senior, other.senior]),
        np.concatenate([one.junior, other.junior]),
        [np.concatenate(pair) for pair in pairs],
        [np.concatenate(pair) for pair in plain],
    )


def _config(config: dict[str, Any]) -> ConfigDict:
    return ConfigDict(config_lib.tuples(config)).lock()


def _zones(
    config, lungs: pathlib.Path, kept: pathlib.Path, split, order: np.ndarray, **known
) -> Zones:
    """Of the films `order` of a split."""
    ids = [split.table["example_id"][i] for i in order]
    patients = [split.table["patient_id"][i] for i in order]
    if not ids:
        return Zones(ids, patients, **known, groups=[], plain=[])
    if not kept.is_file():
        write(kept, _computed(config, lungs, split, order))
    try:
        with np.load(kept) as read:
            arrays = dict(read)
    except (OSError, ValueError) as error:
        raise InputError(kept, f"is damaged ({error})", _DAMAGED) from None
    if list(arrays["example_ids"]) != ids:
        raise InputError(kept, "is of other films than the dataset", _DAMAGED)
    groups, plain = _named(arrays, "zones"), _named(arrays, "plain")
    return Zones(ids, patients, **known, groups=groups, plain=plain)


def write(path: pathlib.Path, arrays: dict[str, Any]) -> None:
    """An .npz, completely or not at all."""
    held = io.BytesIO()
    np.savez(held, **arrays)
    files.write_bytes(path, held.getvalue())


def _named(arrays: dict[str, np.ndarray], name: str) -> list[np.ndarray]:
    count = sum(key.startswith(name) for key in arrays)
    return [arrays[f"{name}{i}"] for i in range(1, count + 1)]


def _computed(config, lungs: pathlib.Path, split, order) -> dict[str, np.ndarray]:
    exp = experiment.build(
        config, train_examples=split.size, image_dtype=roles.image_dtype(split)
    )
    variables = begun(exp, lungs)
    ops = make_preprocess(config.preprocess.eval, train=False)

    @jax.jit
    def features(images):
        seen = ops({"image": images}, None)["image"]
        found = exp.model.apply(variables, seen, train=False).features
        zones = {k: each for k, each in found.items() if k.startswith("zones")}
        stages = [each for k, each in found.items() if k.startswith("stage")]
        return zones | {f"plain{i}": _plain(e) for i, e in enumerate(stages, 1)}

    parts = []
    for start in range(0, len(order), _BATCH):
        some = order[start : start + _BATCH]
        filled = np.concatenate([some, np.repeat(some[:1], _BATCH - len(some))])
        images = decode.pictures(split, filled, config.data.size, config.data.square)
        parts.append(jax.device_get(features(images["image"])))
    found = jax.tree.map(lambda *each: np.concatenate(each)[: len(order)], *parts)
    return found | {
        "example_ids": np.array([split.table["example_id"][i] for i in order])
    }


def _plain(stage: jax.Array) -> jax.Array:
    """[B, h, w, C] -> [B, 6, 3 C]."""
    batch, height, width = stage.shape[:3]
    ends = jnp.zeros(batch), jnp.ones(batch)
    sides = jnp.tile(jnp.array([[0.0, 0.5], [0.5, 1.0]])[:, None], (1, batch, 1))
    whole = lung_boxes.Boxes(*ends, *sides)
    found = lung_boxes.average(lung_boxes.zones(whole, height, width), stage)
    return jnp.concatenate([found, *lung_zones.context(found)], axis=-1)


def begun(exp: experiment.Experiment, lungs: pathlib.Path) -> dict[str, Any]:
    """The variables of the model with those of the run `lungs`, not fitted yet."""
    return init_from.begin(restore.weights(lungs), exp.config, exp.draw())


def fitted_arrays(
    config: dict[str, Any], lungs: pathlib.Path, fitted
) -> dict[str, np.ndarray]:
    """{name: array} of the whole model, for `config.init_from`.

    fitted: of `zone_ridge.fit`.
    """
    exp = experiment.build(_config(config), train_examples=1)
    arrays = {k: np.asarray(v) for k, v in trees.by_name(begun(exp, lungs)).items()}
    return arrays | {
        "params/standard/mean": fitted.mean,
        "params/standard/scale": fitted.scale,
        "params/zero_kernel": fitted.kernel,
        "params/bias": fitted.bias,
    }
