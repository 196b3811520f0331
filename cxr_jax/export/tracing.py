"""The network of a run as a graph: [1, S, S, 1] -> probs, features, heatmap."""

from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp

from cxr_jax.bundle.network import INPUT, OUTPUTS
from cxr_jax.export.graph.convert import convert
from cxr_jax.export.graph.nodes import Graph
from cxr_jax.export.graph.simplify import simplify
from cxr_jax.models.convolution import plain
from cxr_jax.predict import of_run
from cxr_jax.predict.of_run import Opened
from cxr_jax.predict.record import Outputs


def in_float32(opened: Opened) -> Callable[..., Outputs]:
    """The function of the run's network to be traced, whatever dtype it trained in."""
    exp = opened.exp
    if exp.config.model.dtype != "float32":
        exp = exp._replace(model=exp.model.clone(dtype=jnp.float32))
    return of_run.forward(exp, opened.variables)


def to_graph(opened: Opened, function: Callable[..., Outputs]) -> Graph:
    """The simplified graph of `in_float32`; batch norms are in the convolutions.

    Raises:
      InputError: the run computes what cannot be exported.
    """
    side = opened.recipe.preprocess.side

    def traced(image):
        with plain():
            found = function(image)
        return tuple(each for each in found if each is not None)

    graph = convert(traced, {INPUT: (1, side, side, 1)}, OUTPUTS)
    simplify(graph)
    return graph
