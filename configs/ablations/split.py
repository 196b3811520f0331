"""By how much does a split without regard for patients flatter the figures?

The same model on the same films, dealt by patient (films of one patient and copies stay
on one side), and film by film, as most published systems do. Five folds and three seeds
each: every film is tested once either way, so that only who else was trained on differs.

    python -m launch.sweep configs/ablations/split.py --workdir=runs/split
    python -m launch.collect runs/split

Arguments: `base` is 'brixia_public' (zone scores), 'radiography' (four classes) or
'covid_chestxray' (COVID or not, whose patients are known and have several films);
`size=64` in pixels. Results and time on 2 cores: docs/ablations.md.
"""

from cxr_jax.config import parse_arg
from cxr_jax.configs import brixia_public, common, radiography
from cxr_jax.data.roles import SPLIT_BY
from tfds_builders.common.errors import InputError
from tfds_builders.common.splits import FOLDS

SEEDS = (0, 1, 2)
BASES = ("brixia_public", "covid_chestxray", "radiography")


def get_config(arg=None):
    arg = parse_arg(arg, base="brixia_public", size=64)
    if arg.base not in BASES:
        raise InputError(
            "--config",
            f"argument base is {arg.base!r}",
            f"choose one of: {', '.join(BASES)}",
        )
    small = brixia_public.get_config(f"size={arg.size}")
    if arg.base == "brixia_public":
        return small
    if arg.base == "radiography":
        small.data.dataset = "covid_radiography/256"
        classes = radiography.get_config().task.settings.classes
        common.use_task(small, "classify", "cross_entropy", classes=classes)
        small.total = "6 epochs"
        return small
    small.data.dataset = "covid_chestxray/512"
    common.use_task(small, "classify", "cross_entropy", classes=("other", "COVID-19"))
    return small


def sweep(add):
    for by in SPLIT_BY:
        for seed in SEEDS:
            for fold in range(FOLDS):
                add({"data.split_by": by, "seed": seed, "data.fold": fold})
