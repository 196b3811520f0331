"""How much does a result depend on the seed? Five trainings that differ only in it.

Any other comparison has to exceed their spread. All members train side by side in one
program, and each ends as if it had been trained alone.

    python -m launch.sweep configs/ablations/seeds.py --workdir=runs/seeds --backend=members
    python -m launch.collect runs/seeds

Argument: `brixia` uses the prepared release and the settings of `configs/brixia.py`
instead of the quickstart on phantoms. For another number of seeds of any config:
python -m cxr_jax.main --config=... --members=8. Time: about 8 minutes for the phantom on
2 cores.
"""

from cxr_jax.config import parse_arg
from cxr_jax.configs import brixia, quickstart

MEMBERS = 5


def get_config(arg=None):
    arg = parse_arg(arg, brixia=False)
    return brixia.get_config() if arg.brixia else quickstart.get_config()


def sweep(add):
    for seed in range(MEMBERS):
        add({"seed": seed})
