"""The preprocessing string: from 'to_float|resize(256)|flip_lr' to one function."""

import ast
import difflib
import inspect
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

from cxr_jax import rng
from cxr_jax.ops import enhancement, image, lungs, masking, random
from tfds_builders.common.errors import InputError

# The state of the pixels between two ops, each a special case of the one before.
STORED, FLOAT, UNIT = "stored integers", "floats", "floats in [0, 1]"


class Op(NamedTuple):
    """`make(*arguments)` returns fn(batch), or fn(batch, key, strength) of a random op.

    `needs` is the state the pixels must have; `gives` the state after it, if it
    changes: UNIT, or FLOAT once they leave [0, 1].
    """

    make: Callable
    random: bool
    needs: str = STORED
    gives: str | None = None


OPS = {
    "to_float": Op(image.to_float, random=False, gives=UNIT),
    "resize": Op(image.resize, random=False, needs=FLOAT),
    "crop_middle": Op(image.crop_middle, random=False, needs=FLOAT),
    "equalise": Op(image.equalise, random=False, needs=UNIT, gives=UNIT),
    "clahe": Op(enhancement.clahe, random=False, needs=UNIT, gives=UNIT),
    "complement": Op(enhancement.complement, random=False, needs=UNIT),
    "gamma": Op(enhancement.gamma, random=False, needs=UNIT),
    "bcet": Op(enhancement.bcet, random=False, needs=UNIT, gives=UNIT),
    "to_rgb": Op(image.to_rgb, random=False),
    "standardise": Op(image.standardise, random=False, needs=FLOAT, gives=FLOAT),
    "normalise": Op(image.normalise, random=False, needs=UNIT, gives=FLOAT),
    "hide_middle": Op(masking.hide_middle, random=False, needs=UNIT),
    "border_only": Op(masking.border_only, random=False, needs=UNIT),
    "hide_lungs": Op(masking.hide_lungs, random=False, needs=UNIT),
    "lungs_only": Op(masking.lungs_only, random=False, needs=UNIT),
    "lung_frame": Op(lungs.lung_frame, random=False, needs=FLOAT),
    "pose": Op(lungs.pose, random=False, needs=FLOAT),
    "affine": Op(random.affine, random=True, needs=FLOAT),
    "flip_lr": Op(random.flip_lr, random=True),
    "flip_ud": Op(random.flip_ud, random=True),
    "brightness": Op(random.brightness, random=True, needs=UNIT),
    "contrast": Op(random.contrast, random=True, needs=UNIT),
    "erase": Op(random.erase, random=True, needs=FLOAT),
}


class Call(NamedTuple):
    """One op as written: `name(*args, **kwargs)`."""

    name: str
    args: tuple
    kwargs: dict


def parse(text):
    """The calls of a preprocessing string, in order.

    An op is a name, with arguments in brackets where it takes any; arguments are
    Python literals. Raises InputError on anything else, including unknown names.
    """
    if not isinstance(text, str) or not text.strip():
        raise InputError(
            "the preprocessing string",
            f"is empty: {text!r}",
            "write at least one op; most start with 'to_float|resize(256)'",
        )
    return [parse_call(piece.strip(), text) for piece in text.split("|")]


def parse_call(piece, text):
    """One `name(arguments)` of the preprocessing string `text`."""
    try:
        node = ast.parse(piece, mode="eval").body
        name, args, keywords = node, [], []
        if isinstance(node, ast.Call):
            name, args, keywords = node.func, node.args, node.keywords
        if not isinstance(name, ast.Name):
            raise TypeError("not a name with arguments in brackets")
        names = [keyword.arg for keyword in keywords]
        if None in names or len(set(names)) < len(names):
            raise ValueError("each argument must be given once, by value or name=value")
        args = tuple(ast.literal_eval(each) for each in args)
        values = [ast.literal_eval(keyword.value) for keyword in keywords]
    # What Python's parser raises on hostile text: too deep, too long, NUL.
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError) as error:
        raise InputError(
            f"preprocessing string {text!r}",
            f"{piece!r} is not an op: {str(error) or 'too deeply nested'}",
            "write ops as name or name(0.1, other=2), with | between them",
        ) from None
    if name.id not in OPS:
        close = difflib.get_close_matches(name.id, OPS, n=1)
        raise InputError(
            f"preprocessing string {text!r}",
            f"unknown op {name.id!r}",
            (f"did you mean {close[0]!r}? " if close else "")
            + f"The ops are {', '.join(sorted(OPS))}",
        )
    return Call(name.id, args, dict(zip(names, values, strict=True)))


def make_preprocess(text, *, train, from_unit=False):
    """The function a preprocessing string describes.

    Args:
      text: ops with | between them, for example
        'to_float|resize(256)|affine(rotate=10)|flip_lr|standardise'.
      train: whether random ops are allowed.
      from_unit: whether the images are float32 in [0, 1] already, so that to_float has
        nothing left to do.

    Returns:
      fn(batch, key=None, strength=1) -> batch, pure and of fixed shapes: it runs under
      jit, vmap and scan. batch is a dict with 'image' [B,H,W,C], uint8 or uint16, and
      'mask' of the lungs, which moves with it; flips reorder labels in zone order
      too. strength multiplies the limits of random ops. Every random op draws from a
      stream of its own, named after the op and its number among ops of that name, so
      that adding another op leaves its draws as they were. Without random ops the key
      is not needed.

    Raises:
      InputError: any fault in the text; when traced, images that do not suit it.
    """
    where = f"preprocessing string {text!r}"
    steps, seen, pixels = [], Counter(), STORED
    for call in parse(text):
        op = OPS[call.name]
        if op.random and not train:
            raise InputError(
                where,
                f"{call.name} is random, and this string is for evaluation",
                f"remove {call.name}; it belongs in the training string",
            )
        check_order(call.name, op, pixels, where)
        pixels = op.gives or pixels
        stream = f"{call.name}/{seen[call.name]}" if op.random else None
        seen[call.name] += 1
        function = build(call, op, where)
        if call.name != "to_float" or not from_unit:
            steps.append((function, stream))
    if pixels == STORED:
        raise InputError(
            where,
            "leaves the pixels as stored integers",
            "add to_float, as the first op",
        )

    def preprocess(batch, key: Any = None, strength=1.0):
        for apply, stream in steps:
            if stream is None:
                batch = apply(batch)
            else:
                batch = apply(batch, rng.stream(key, stream), strength)
        return batch

    return preprocess


def check_order(name, op, pixels, where):
    """Raises InputError if `name` does not work on `pixels`."""
    if name == "to_float" and pixels != STORED:
        raise InputError(where, "to_float is used twice", "keep only the first")
    if op.needs != STORED and pixels == STORED:
        raise InputError(
            where,
            f"{name} needs floats, but the pixels are {pixels} at that point",
            f"put to_float before {name}",
        )
    if op.needs == UNIT and pixels != UNIT:
        raise InputError(
            where,
            f"{name} needs {UNIT}, but the pixels have left that range by then",
            f"move {name} before standardise or normalise",
        )


def build(call, op, where):
    """Returns the function of one call; InputError if its arguments are wrong."""
    signature = inspect.signature(op.make)
    try:
        signature.bind(*call.args, **call.kwargs)
        return op.make(*call.args, **call.kwargs)
    except (TypeError, ValueError) as error:
        raise InputError(
            where, f"{call.name}: {error}", f"write {call.name}{signature}"
        ) from None
