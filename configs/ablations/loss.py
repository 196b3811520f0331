"""Which loss scores zones best: cross-entropy, with MAE, ordinal, or focal?

Cross-entropy with the absolute error of the expected score (the default), cross-entropy,
the ranked probability score (Epstein 1969), which knows the order of the levels, and
focal loss (Lin et al. 2017, arXiv 1708.02002), on the few public films (brixia_public);
five folds and three seeds each, everything else the same.

    python -m launch.sweep configs/ablations/loss.py --workdir=runs/loss
    python -m launch.collect runs/loss
    python -m launch.sweep configs/ablations/loss.py:start=runs/pretrained/labels ...

Arguments: `brixia` uses the prepared release and the settings of `configs/brixia.py`;
`start` is the workdir of a run to start from (pretraining.py), `size=64` in pixels.
Expected: ordinal and mixed losses lead in zone MAE, cross-entropy in nothing, and all of
it within chance. Found: docs/ablations.md. Time on 2 busy cores: 23 minutes.
"""

from cxr_jax.config import parse_arg
from cxr_jax.configs import brixia, brixia_public
from tfds_builders.common.splits import FOLDS

LOSSES = ("ce_mae", "cross_entropy", "ordinal", "focal")
SEEDS = (0, 1, 2)


def get_config(arg=None):
    arg = parse_arg(arg, brixia=False, start="", size=64)
    if arg.brixia:
        return brixia.get_config()
    config = brixia_public.get_config(f"size={arg.size}")
    config.init_from = arg.start
    return config


def sweep(add):
    for loss in LOSSES:
        for seed in SEEDS:
            for fold in range(FOLDS):
                add({"task.loss": loss, "seed": seed, "data.fold": fold})
