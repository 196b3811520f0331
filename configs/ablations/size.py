"""How large should the picture be that the model sees: 32, 64 or 128 pixels?

The same small CNN and augmentation on the few public films (brixia_public), five folds and
two seeds each, 24 epochs, everything else the same. A larger picture costs time with the
square of its side. Sabottke and Spieler 2020 (doi 10.1148/ryai.2019190015) saw the AUROC
of findings rise up to 256 to 448 pixels, with 112,000 films.

    python -m launch.sweep configs/ablations/size.py --workdir=runs/size
    python -m launch.collect runs/size --against="64 px"

Expected: 32 px loses, and so few films do not tell the others apart. Results:
docs/ablations.md. Time on 2 busy cores: 11 minutes.
"""

from cxr_jax.config import parse_arg
from cxr_jax.configs import brixia_public, common
from tfds_builders.common.splits import FOLDS

SIZES = (32, 64, 128)
SEEDS = (0, 1)


def get_config(arg=None):
    parse_arg(arg)
    config = brixia_public.get_config()
    config.total = "24 epochs"
    config.data.size = max(SIZES)
    return config


def sweep(add):
    for size in SIZES:
        strings = common.get_config(size).preprocess
        changes = {f"preprocess.{role}": strings[role] for role in ("train", "eval")}
        for seed in SEEDS:
            for fold in range(FOLDS):
                add({**changes, "seed": seed, "data.fold": fold}, setting=f"{size} px")
