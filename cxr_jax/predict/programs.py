"""The two programs of a run's model that score films."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from cxr_jax.devices import ahead, sharding
from cxr_jax.predict import blueprint as blueprint_lib
from cxr_jax.predict.blueprint import Blueprint
from cxr_jax.predict.record import Outputs

# () -> {'eval_step', 'outputs'}, which are traced where no program is kept: see `of_run`.
Functions = Callable[[], Mapping[str, Callable[..., Any]]]


class Programs:
    """The network of a run: probabilities equal to those of --mode=eval, bit for bit.

    They come from that very program, `eval_step`. Another one gives features and heat
    map too, and its probabilities; how a compiler orders its sums does not depend on
    the pixels. So once both agreed on every bit of a whole batch of different films,
    the second is enough.

    Its order does depend on the size of the batch (2.7e-6 of a probability on a CPU), so
    `eval_step` is given whole batches always. Where there is one film, only the other
    program computes it alone.
    """

    def __init__(
        self,
        config: ConfigDict,
        blueprint: Blueprint,
        mesh: jax.sharding.Mesh,
        functions: Functions,
        bits: int,
    ):
        self._size, self._side, self._mesh = config.batch_size, config.data.size, mesh
        self._shapes, self._variables = blueprint.shapes, None
        made = functools.cache(functions)
        self._eval_step, self._outputs = (
            ahead.replicated(name, lambda n=name: made()[n], mesh, blueprint.decided_by)
            for name in ("eval_step", "outputs")
        )
        self._type = np.uint16 if bits == 16 else np.uint8
        self._targets = {
            name: np.zeros((self._size, *shape), dtype)
            for name, (shape, dtype) in blueprint.targets.items()
        }
        self._agreed = False
        self._alone = True  # whether no more than a film per device was ever asked for
        self._has_map: bool | None = None

    def hold(self, variables: Any) -> None:
        """Computes with these, {'params', 'batch_stats'}, from now on."""
        self._variables = sharding.replicate(variables, self._mesh)

    def load(self) -> None:
        """Reads the programs that one film needs, where they are kept."""
        everywhere = sharding.replicated(self._mesh)
        split = sharding.by_example(self._mesh)
        variables = blueprint_lib.variables(
            {
                name: jax.ShapeDtypeStruct(shape, dtype, sharding=everywhere)
                for name, (dtype, shape) in self._shapes.items()
            }
        )

        def images(count: int, dtype: Any) -> jax.ShapeDtypeStruct:
            shape = (count, self._side, self._side, 1)
            return jax.ShapeDtypeStruct(shape, dtype, sharding=split)

        self._outputs.load(variables, images(self._mesh.size, np.float32))
        targets = {
            name: jax.ShapeDtypeStruct(array.shape, array.dtype, sharding=split)
            for name, array in self._targets.items()
        }
        batch = {"image": images(self._size, self._type), **targets}
        self._eval_step.load(variables, batch)

    def __call__(self, images: np.ndarray) -> Outputs:
        parts = [
            self._batch(images[start : start + self._size])
            for start in range(0, len(images), self._size)
        ]
        return jax.tree.map(lambda *each: np.concatenate(each), *parts)

    def _batch(self, images: np.ndarray) -> Outputs:
        count, size = len(images), self._size
        self._alone = self._alone and count <= self._mesh.size
        put = partial(sharding.put, mesh=self._mesh)
        few = _filled(images, self._mesh.size if self._alone else size)
        found, believed = self._outputs(self._variables, put({"image": few})["image"])
        if self._agreed:
            probs = np.asarray(found.probs)
        else:
            # Traced while the device is at work on the other one.
            probs = self._own(put, _filled(images, size))
            if len(few) == size:
                different = len(np.unique(probs.reshape(size, -1), axis=0)) == size
                self._agreed = different and np.array_equal(probs, found.probs)
        if self._has_map is None:
            self._has_map = bool(believed)
        heatmap = np.asarray(found.heatmap)[:count] if self._has_map else None
        return Outputs(probs[:count], np.asarray(found.features)[:count], heatmap)

    def _own(self, put, images: np.ndarray) -> np.ndarray:
        """Those of `eval_step`, for a whole batch of images in 0..1."""
        stored = np.rint(images * np.float32(np.iinfo(self._type).max))
        batch = put({"image": stored.astype(self._type), **self._targets})
        probs = np.asarray(self._eval_step(self._variables, batch)["probs"])
        return probs.reshape(len(probs), -1, probs.shape[-1])


def _filled(images: np.ndarray, size: int) -> np.ndarray:
    """As many, by repeating the first."""
    return np.concatenate([images, np.repeat(images[:1], size - len(images), axis=0)])
