"""How large should the picture be that the model sees: 32, 64, 96, 128 or 192 pixels?

The same model and augmentation, three seeds each. A larger picture costs time with the
square of its side.

    python -m launch.sweep configs/ablations/size.py --workdir=runs/size
    python -m launch.collect runs/size --against=96

Argument: `public` uses brixia_public, five folds, instead of the quickstart's phantoms.
Results and time on 2 cores: docs/ablations.md.
"""

from cxr_jax.config import parse_arg
from cxr_jax.configs import brixia_public, common, quickstart

SIZES = (32, 64, 96, 128, 192)
SEEDS = (0, 1, 2)


def get_config(arg=None):
    arg = parse_arg(arg, public=False)
    config = brixia_public.get_config() if arg.public else quickstart.get_config()
    config.data.size = max(SIZES)
    config.report = False
    return config


def sweep(add):
    for size in SIZES:
        strings = common.get_config(size).preprocess
        changes = {f"preprocess.{role}": strings[role] for role in ("train", "eval")}
        for seed in SEEDS:
            add({**changes, "seed": seed}, setting=f"{size} px")
