"""What is augmentation worth: none, that of two published systems, or ours?

None; the affine moves, brightness and flips of S3's and S4's code (docs/models.md); ours;
ours without flips; and ours with flips that forget to swap the zones of the two lungs, a
fault that is easily made. On the few public films (brixia_public), five folds and two
seeds each, 24 epochs, everything else the same.

    python -m launch.sweep configs/ablations/augmentation.py --workdir=runs/augmentation
    python -m launch.collect runs/augmentation --against=ours

Arguments: `start` is the workdir of a run to start from (pretraining.py), `size=64` in
pixels. Expected: none and the forgetful flips lose, the others are alike. Results:
docs/ablations.md. Time on 2 busy cores: 16 minutes.
"""

from cxr_jax.config import parse_arg
from cxr_jax.configs import brixia_public
from tfds_builders.common.splits import FOLDS

OURS = "affine(rotate=10, shift=0.05, zoom=0.1)|brightness(0.2)|contrast(0.2)"
ARMS = {
    "ours": f"{OURS}|flip_lr",
    "ours without flips": OURS,
    "ours, zones not swapped": f"{OURS}|flip_lr(swap_zones=False)",
    "none": "",
    "S3": "affine(rotate=40, shift=0.2, shear=11.5, zoom=0.2)|brightness(lo=0.2, hi=1.0)"
    "|flip_lr",
    "S4": "affine(rotate=20, shift=0.2)|flip_lr",
}
SEEDS = (0, 1)


def get_config(arg=None):
    arg = parse_arg(arg, start="", size=64)
    config = brixia_public.get_config()
    # Films come in this size, so that no string below depends on it.
    config.data.size = arg.size
    config.preprocess.train = config.preprocess.eval = "to_float|standardise"
    config.total = "24 epochs"
    config.init_from = arg.start
    return config


def sweep(add):
    for name, moves in ARMS.items():
        text = "|".join(filter(None, ["to_float", moves, "standardise"]))
        for seed in SEEDS:
            for fold in range(FOLDS):
                changes = {"preprocess.train": text, "seed": seed, "data.fold": fold}
                add(changes, setting=name)
