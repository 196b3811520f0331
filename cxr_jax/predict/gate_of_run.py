"""The gate of a run: fitted to its training films once, and kept beside the run."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from typing import overload

import numpy as np

from cxr_jax.data import decode, roles
from cxr_jax.data.split import Split
from cxr_jax.devices.terminal import say, warn
from cxr_jax.gate.fit import fit
from cxr_jax.gate.fitted import Gate
from cxr_jax.predict import kept_gate, squares
from cxr_jax.predict.of_run import Opened
from cxr_jax.runs import predictions, provenance
from tfds_builders.common.errors import InputError


def of_run(opened: Opened) -> Gate:
    """The gate, from RUN/gate.json or else of the prepared films of train and val.

    Raises:
      InputError: they are not there, are others than those of the run, or too few.
    """
    kept = kept_gate.read(opened.workdir, opened.recipe.run_digest)
    if kept is not None:
        return kept
    say(f"fitting the gate to the training films of {opened.workdir}")
    try:
        gate = fitted(opened)
    except InputError as error:
        raise InputError(
            error.where,
            error.found,
            f"{error.hint}\n     the gate is fitted to the films of the training; "
            "without them, --gate=off scores whatever it is given",
        ) from None
    try:
        kept_gate.write(opened.workdir, opened.recipe.run_digest, gate)
    except InputError as error:  # a run that others own
        warn(f"WARNING: {error}\n  the gate is fitted again the next time")
    return gate


def fitted(opened: Opened, others: Sequence[pathlib.Path] = ()) -> Gate:
    """A gate of the films of train, and of files of films that it must let pass too.

    others: proper films of other hospitals and other patients, whose films are cut,
      exposed and taken otherwise than those of the training.

    Raises:
      InputError: the prepared films are not there, are others than those of the run, or
        too few; a file cannot be read.
    """
    config, preprocess = opened.exp.config, opened.recipe.preprocess
    run = predictions.read(opened.workdir)
    splits = roles.open_splits(config.data, predictions.home(run))
    provenance.check_same_build(opened.workdir, splits.description)
    more = [squares.read(path, preprocess).pixels for path in others]
    patients = list(splits.train.table["patient_id"])
    return fit(
        [*_Films(splits.train), *more],
        lambda films: (
            opened.network(
                np.stack([squares.square(f, preprocess) for f in films])
            ).features
        ),
        config.seed,
        patients=[*patients, *map(str, others)],
        unseen=_Films(splits.val),
    )


class _Films(Sequence[np.ndarray]):
    """The stored films of a split, decoded when they are looked up."""

    def __init__(self, split: Split):
        self._split = split

    def __len__(self) -> int:
        return self._split.size

    @overload
    def __getitem__(self, place: int) -> np.ndarray: ...
    @overload
    def __getitem__(self, place: slice) -> list[np.ndarray]: ...
    def __getitem__(self, place):
        if isinstance(place, slice):
            return [self[each] for each in range(*place.indices(len(self)))]
        return decode.stored(self._split.read(int(self._split.rows[place]))["image"])
