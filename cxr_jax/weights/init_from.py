"""The first variables of a model from weights: all of them, or an error with a diff."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from cxr_jax import trees
from cxr_jax.devices.terminal import say
from cxr_jax.weights import claims, layouts, names, pixels, tflite
from cxr_jax.weights.published import XRAYVISION_OUTPUTS
from cxr_jax.weights.source import Source
from tfds_builders.common.errors import InputError

if TYPE_CHECKING:
    from ml_collections import ConfigDict

# Lines of a diff that are shown.
_SHOWN = 12


def begin(found: Source, config: ConfigDict, drawn: dict[str, Any]) -> dict[str, Any]:
    """Weights that were read, in place of those that were drawn.

    Args:
      found: of `config.init_from`, a file or one of our own runs.
      config: of the run; `init_excuse`, `model`, `preprocess`.
      drawn: {'params', 'batch_stats'} as `models.init` draws them. Names that match the
        regular expression `init_excuse`, on either side, stay as they are here.

    Raises:
      InputError: names or shapes that do not fit and are not excused, with a diff; a
        `model.style` or pre-processing that is not the source's; NaN in a run.
    """
    excuse = _excuse(config.init_excuse)
    check_style(found, config.model)
    if not excuse.search("preprocess"):
        pixels.check(found, config)
    if found.config is not None:  # files are checked where they are read
        claims.check_finite(found.path, found.arrays)
    wanted = trees.by_name(drawn)
    prefix, stored = _by_our_names(found, wanted, config.model.name)
    seen = pixels.of(found, config.model.name) or pixels.UNKNOWN
    taken, excused = fit(found, stored, wanted, excuse, seen, prefix)
    say(
        f"init   {len(taken)} of {len(wanted)} arrays from {found.path} ({found.format}"
        + (f", sha256 {found.sha256[:12]}" if found.sha256 else "")
        + ")"
    )
    say(f"       {_names_of(found, prefix)}")
    if seen is pixels.XRAYVISION:
        say(f"       outputs of torchxrayvision: {', '.join(XRAYVISION_OUTPUTS)}")
    if excused:
        say(f"       drawn, excused by {config.init_excuse!r}: {_list(excused)}")
    leaves = [taken.get(name, leaf) for name, leaf in wanted.items()]
    return jax.tree.unflatten(jax.tree.structure(drawn), leaves)


def _names_of(found: Source, prefix: str) -> str:
    """In words: what the file calls its arrays, and where in it they are."""
    shown = list(filter(names.is_weight, found.arrays))
    text = f"its names: {_list(shown)}"
    if found.inside:
        text += f"; taken from {'.'.join(found.inside)}"
    if found.beside:
        text += f", beside it {_list(list(found.beside))}"
    if prefix:
        count = sum(name.startswith(prefix) for name in shown)
        text += f"; {prefix!r} removed from {count} of {len(shown)} names"
    return text


def check_style(found: Source, model: ConfigDict) -> None:
    """Padding and batch norms must be those of the framework the weights come from."""
    needed = {"torch": "torch", "keras": "keras", "tflite": "keras"}.get(found.format)
    style = model.get("style", "torch")
    if found.config is not None:
        theirs = found.config.model
        needed = theirs.get("style", "torch")
        if theirs.name != model.name:
            raise InputError(
                "config.init_from",
                f"{found.path} is a {theirs.name}, and config.model.name is "
                f"{model.name}",
                f"set --config.model.name={theirs.name}",
            )
    if needed and style != needed:
        raise InputError(
            "config.model.style",
            f"is {style!r}, and {found.path} holds weights of {needed!r}: padding and "
            "batch norms differ",
            f"set --config.model.style={needed}",
        )


def _by_our_names(
    found: Source, wanted: dict[str, Any], model: str
) -> tuple[str, dict[str, tuple[str, np.ndarray]]]:
    """-> (prefix of their names, {our name, or theirs where we have none: (theirs, array)})."""
    if found.format == "tflite":
        arrays = tflite.unfold(found.arrays, list(wanted))
        return "", {name: (name, array) for name, array in arrays.items()}
    if found.format == "ours":
        return "", {name: (name, array) for name, array in found.arrays.items()}
    ours = {names.ours(name): name for name in wanted}
    prefix = names.prefix(list(found.arrays), found.format, model, set(ours))
    result: dict[str, tuple[str, np.ndarray]] = {}
    # Those with the prefix first: a name without it must not take their place.
    for name in sorted(found.arrays, key=lambda name: not name.startswith(prefix)):
        key = names.theirs(name.removeprefix(prefix), found.format, model)
        if not key:
            continue
        mine = ours.get(key, name)
        if mine in result and not name.startswith(prefix):
            mine = name
        if mine in result:
            raise InputError(
                found.path,
                f"{name} and {result[mine][0]} are both {mine} here",
                "this is a bug in cxr_jax/weights/names.py; please report it",
            )
        array = found.arrays[name]
        if mine in wanted:
            array = layouts.convert(array, found.format, mine, wanted[mine].shape)
        result[mine] = (name, array)
    return prefix, result


def fit(
    found: Source,
    stored: dict[str, tuple[str, np.ndarray]],
    wanted: dict[str, Any],
    excuse: re.Pattern,
    seen: pixels.Pixels = pixels.UNKNOWN,
    prefix: str = "",
) -> tuple[dict[str, np.ndarray], list[str]]:
    """-> ({our name: array}, our names that are excused); an error for all the rest."""
    taken, excused, faults = {}, [], []
    first = _first_kernel(wanted, stored)
    # Parameters before statistics: what is shown of a long diff should say most.
    for name in sorted(wanted, key=lambda name: not name.startswith("params/")):
        leaf = wanted[name]
        if name not in stored:
            fault = f"- {name} {_shape(leaf)}: in the model, not in the file"
        else:
            theirs, array = stored[name]
            array = _adapt(array, leaf, seen if name == first else None)
            if array.shape == leaf.shape:
                taken[name] = array.astype(leaf.dtype)
                continue
            fault = f"~ {name} {_shape(leaf)}: {_shape(array)} in the file ({theirs})"
        if excuse.search(name):
            excused.append(name)
        else:
            faults.append(fault)
    faults += [
        f"+ {theirs} {_shape(array)}: in the file, not in the model"
        for name, (theirs, array) in stored.items()
        if name not in wanted and not excuse.search(theirs)
    ]
    if faults or not taken:
        shown = faults[:_SHOWN] + [f"... {len(faults)} in all"] * (len(faults) > _SHOWN)
        raise InputError(
            f"config.init_from: {found.path}",
            f"does not fit the model ({len(taken)} of {len(wanted)} arrays do):\n  "
            + "\n  ".join(shown or ["everything is excused"])
            + f"\n  {_names_of(found, prefix)}",
            "choose the model the weights belong to (config.model), or excuse names by "
            "a regular expression: --config.init_excuse='^params/(fc|layer4)'",
        )
    return taken, excused


def _first_kernel(wanted: dict[str, Any], stored: dict) -> str:
    """The kernel that sees the image, '' where there is none.

    Its input is 3 channels wide on at least one side, or 1 on both. Depthwise kernels
    look like the latter: then it is the largest one.
    """
    candidates = {}
    for name, leaf in wanted.items():
        if len(leaf.shape) == 4 and name.endswith("/kernel") and name in stored:
            channels = {leaf.shape[2], *stored[name][1].shape[2:3]}
            if channels <= {1, 3}:
                candidates[name] = (max(channels), leaf.shape[0])
    return max(candidates, key=lambda name: candidates[name], default="")


def _adapt(array: np.ndarray, leaf: Any, seen: pixels.Pixels | None) -> np.ndarray:
    """seen: what the first kernel was made for, None for all other leaves."""
    if seen is not None:
        if seen.is_bgr:
            array = array[:, :, ::-1]
        return layouts.fit_channels(array * np.float32(seen.factor), leaf.shape[2])
    if array.ndim == len(leaf.shape) == 3 and array.shape != leaf.shape:
        return layouts.fit_positions(array, leaf.shape)
    return array


def _excuse(text: str) -> re.Pattern:
    try:
        return re.compile(text or "(?!)")
    except re.error as error:
        raise InputError(
            "config.init_excuse",
            f"{text!r} is not a regular expression ({error})",
            "give one such as '^params/(fc|head)'",
        ) from None


def _shape(array: Any) -> str:
    return "x".join(map(str, array.shape)) or "scalar"


def _list(found: list[str]) -> str:
    more = f" and {len(found) - 4} more" if len(found) > 4 else ""
    return ", ".join(found[:4]) + more
