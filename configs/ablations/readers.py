"""Whose scores should a model learn: the senior reader's, the junior's, or both?

Trained on the scores of the senior reader, of the junior, and on both at once (the mean
of both losses, so that where they differ the model learns how often); always tested on
the senior's. Five folds by patient and three seeds each, everything else the same.

    python -m launch.sweep configs/ablations/readers.py --workdir=runs/readers
    python -m launch.collect runs/readers

Argument: `size=64`, the side of the images in pixels. Results: docs/ablations.md. Time on
2 cores: 7 minutes.
"""

from cxr_jax.config import parse_arg
from cxr_jax.configs import brixia_public
from cxr_jax.tasks.brixia import READERS
from tfds_builders.common.splits import FOLDS

SEEDS = (0, 1, 2)


def get_config(arg=None):
    arg = parse_arg(arg, size=64)
    return brixia_public.get_config(f"size={arg.size}")


def sweep(add):
    for reader in READERS:
        for seed in SEEDS:
            for fold in range(FOLDS):
                add({"task.settings.reader": reader, "seed": seed, "data.fold": fold})
