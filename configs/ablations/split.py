"""By how much does a split without regard for patients flatter the figures?

The same model on the same films, dealt by patient (films of one patient and copies stay
on one side), and film by film, as most published systems do. Five folds and three seeds
each: every film is tested once either way, so that only who else was trained on differs.

    python -m launch.sweep configs/ablations/split.py --workdir=runs/split
    python -m launch.collect runs/split

Arguments: `base` is 'covid_chestxray' (COVID-19 or another finding; patients are known
and have several films) or 'radiography' (four classes; near-duplicates stand for
patients); `size=64` in pixels. Results: docs/ablations.md. Time on 2 cores: 4 minutes.
"""

from cxr_jax.config import one_of, parse_arg
from cxr_jax.configs import brixia_public, common, covid_chestxray, radiography
from cxr_jax.data.roles import SPLIT_BY
from tfds_builders.common.splits import FOLDS

SEEDS = (0, 1, 2)
BASES = ("covid_chestxray", "radiography")


def get_config(arg=None):
    arg = parse_arg(arg, base="covid_chestxray", size=64)
    one_of("base", arg.base, BASES)
    if arg.base == "covid_chestxray":
        return covid_chestxray.get_config(f"size={arg.size}")
    config = brixia_public.get_config(f"size={arg.size}")
    config.data.dataset = "covid_radiography/256"
    classes = radiography.get_config().task.settings.classes
    common.use_task(config, "classify", "cross_entropy", classes=classes)
    config.total = "6 epochs"
    config.every.eval = config.every.checkpoint = "1 epochs"
    return config


def sweep(add):
    for by in SPLIT_BY:
        for seed in SEEDS:
            for fold in range(FOLDS):
                add({"data.split_by": by, "seed": seed, "data.fold": fold})
