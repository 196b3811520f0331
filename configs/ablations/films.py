"""How many labelled films are needed: 10, 25, 50 % of them, or all?

A part of the training films (a fair sample: `train[:10%]`), the same val and test, five
seeds each, everything else the same; the number of steps is that of all films.

    python -m launch.sweep configs/ablations/films.py --workdir=runs/films
    python -m launch.collect runs/films --against=100

Arguments: `public` uses brixia_public instead of the quickstart's phantoms; `size=64` in
pixels. Results: docs/ablations.md. Time of `public` on 2 cores: 4 minutes.
"""

from cxr_jax.config import parse_arg
from cxr_jax.configs import brixia_public, quickstart

SHARES = (10, 25, 50, 100)
SEEDS = (0, 1, 2, 3, 4)


def get_config(arg=None):
    arg = parse_arg(arg, public=False, size=64)
    if arg.public:
        config = brixia_public.get_config(f"size={arg.size}")
        config.total = "160 steps"
    else:
        config = quickstart.get_config()
        config.total = "360 steps"
    config.report = False
    config.every.eval = config.every.checkpoint = "10 percent"
    return config


def sweep(add):
    for share in SHARES:
        for seed in SEEDS:
            add({"data.train": f"train[:{share}%]", "seed": seed})
