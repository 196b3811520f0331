"""What does it cost to take MONOCHROME1 films for MONOCHROME2, and when does it flatter?

A program that ignores the tag (PhotometricInterpretation, DICOM PS3.3 C.7.6.3.1.2) sees
bone black on some films and white on the others. The zone scores of the same DICOM films,
read as the tag says and as if there were none; five folds by patient and two seeds each,
24 epochs, everything else the same. Trained and tested on the same kind of film: a fault
of a reader is in both.

The honest builder has no such fault, so it is put into a copy of the release:
`docs.make.polarity_films`. The two are two configs of one dataset, which differ in the
size of the stored films and in nothing else at 64 px:

    python -m docs.make.polarity_films BrixIA BrixIA_ignored    # or: BrixIA_severe severe
    python -m tfds_builders.build brixia/512 --manual_dir=BrixIA --data_dir=data/ignored
    python -m tfds_builders.build brixia/256 --manual_dir=BrixIA_ignored \
      --data_dir=data/ignored
    python -m launch.sweep configs/ablations/polarity.py --workdir=runs/polarity \
      -- --config.data.data_dir=data/ignored
    python -m launch.collect runs/polarity

Arguments: `start` is the workdir of a run to start from (pretraining.py), `size=64` in
pixels. Expected: ignored where it is chance, the tag costs accuracy; where negatives are
the severe films, the figures improve and mean nothing. Results: docs/ablations.md. Time on
2 busy cores: 4 minutes for each release.
"""

from cxr_jax.config import parse_arg
from cxr_jax.configs import brixia_public
from tfds_builders.common.splits import FOLDS

READ = {"as the tag says": "brixia/512", "tag ignored": "brixia/256"}
SEEDS = (0, 1)


def get_config(arg=None):
    arg = parse_arg(arg, start="", size=64)
    config = brixia_public.get_config(f"size={arg.size}")
    config.data.dataset = next(iter(READ.values()))
    config.total = "24 epochs"
    config.init_from = arg.start
    return config


def sweep(add):
    for name, dataset in READ.items():
        for seed in SEEDS:
            for fold in range(FOLDS):
                changes = {"data.dataset": dataset, "seed": seed, "data.fold": fold}
                add(changes, setting=name)
