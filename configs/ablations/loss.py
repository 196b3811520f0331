"""Which loss scores zones best: cross-entropy, with MAE, ordinal, or focal?

Four losses, three seeds each, on the phantom; everything else as in the quickstart. They
are compared by zone MAE and by quadratic kappa, which reward different things.

    python -m launch.sweep configs/ablations/loss.py --workdir=runs/loss
    python -m launch.collect runs/loss
    python -m launch.sweep configs/ablations/loss.py:brixia --workdir=runs/loss_brixia

Argument: `brixia` uses the prepared release and the settings of `configs/brixia.py`. Time:
about 20 minutes for the phantom on 2 cores.
"""

from cxr_jax.config import parse_arg
from cxr_jax.configs import brixia, quickstart

LOSSES = ("ce_mae", "cross_entropy", "ordinal", "focal")
SEEDS = (0, 1, 2)


def get_config(arg=None):
    arg = parse_arg(arg, brixia=False)
    return brixia.get_config() if arg.brixia else quickstart.get_config()


def sweep(add):
    for loss in LOSSES:
        for seed in SEEDS:
            add({"task.loss": loss, "seed": seed})
