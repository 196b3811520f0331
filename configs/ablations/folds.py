"""Cross-validation by patient: five trainings, each tested on a different fifth.

    python -m launch.sweep configs/ablations/folds.py --workdir=runs/folds --backend=members
    python -m launch.collect runs/folds

Every image is in the test set of one run. Argument: `brixia` uses the prepared release and
the settings of `configs/brixia.py` instead of the quickstart on phantoms. Time: about 8
minutes for the phantom on 2 cores.
"""

from cxr_jax.config import parse_arg
from cxr_jax.configs import brixia, quickstart
from tfds_builders.common.splits import FOLDS


def get_config(arg=None):
    arg = parse_arg(arg, brixia=False)
    return brixia.get_config() if arg.brixia else quickstart.get_config()


def sweep(add):
    for fold in range(FOLDS):
        add({"data.fold": fold})
