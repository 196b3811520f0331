"""What is pre-training on chest films worth: none, SimCLR, labels, or phantoms?

A small CNN at 64 px learns the zone scores of the few public films (brixia_public) from
four starts: drawn weights; SimCLR on other films without labels (Chen et al. 2020, arXiv
2002.05709; on chest films Sowrirajan et al. 2021, arXiv 2010.05352); the labels normal or
pneumonia of other films; zone scores of phantoms. Each start is tuned as a whole and with
its trunk frozen; five folds and two seeds each, everything else the same. What ImageNet
weights are worth, of which there are none for this CNN: transfer.py.

The three starts are trained first, `on` other films; no film or patient of brixia_public
may be among them. docs/ablations.md has the commands that make `data/pool`, a folder of
films without labels, and `data/labelled`, with the classes NORMAL and PNEUMONIA:

    RUN="python -m cxr_jax.main --config=configs/ablations/pretraining.py"
    $RUN:on=simclr --config.data.data_dir=data/pool --workdir=runs/pretrained/simclr
    $RUN:on=labels --config.data.data_dir=data/labelled --workdir=runs/pretrained/labels
    $RUN:on=phantoms --workdir=runs/pretrained/phantoms
    python -m launch.sweep configs/ablations/pretraining.py --workdir=runs/pretraining
    python -m launch.collect runs/pretraining

Expected: with so few films each start lowers the zone MAE when tuned, by less than 0.1.
Results: docs/ablations.md. Time on 2 busy cores: 10 minutes for the starts, 25 for the
sweep.
"""

from cxr_jax.config import one_of, parse_arg
from cxr_jax.configs import brixia_public, common
from tfds_builders.common.splits import FOLDS

SIZE = 64
SEEDS = (0, 1)
# Workdirs, below the folder from which the sweep is started.
STARTS = {
    "SimCLR": "runs/pretrained/simclr",
    "labels": "runs/pretrained/labels",
    "phantoms": "runs/pretrained/phantoms",
}
ON = ("", "simclr", "labels", "phantoms")


def get_config(arg=None):
    arg = parse_arg(arg, on="")
    one_of("on", arg.on, ON)
    config = brixia_public.get_config(f"size={SIZE}")
    if not arg.on:
        return config
    config.batch_size = 64
    config.every.eval = config.every.checkpoint = "10 percent"
    if arg.on == "phantoms":
        config.data.dataset = "brixia/256"
        config.data.phantom = 600
        config.total = "60 epochs"
        return config
    config.data.dataset = "image_folder/256"
    if arg.on == "labels":
        classes = ("NORMAL", "PNEUMONIA")
        common.use_task(
            config, "classify", "cross_entropy", classes=classes, balanced=True
        )
        config.total = "15 epochs"
        return config
    common.use_task(config, "contrast", "nt_xent")
    config.batch_size = 128
    config.total = "20 epochs"
    config.model.pool = "projection"
    # Stronger than that of a training with labels, and without flips: sides matter.
    config.preprocess.train = (
        f"to_float|resize({SIZE})|affine(rotate=10, shift=0.15, zoom=0.25)"
        "|brightness(0.4)|contrast(0.4)|erase(0.2)|standardise"
    )
    return config


def sweep(add):
    arms = {"none": {}}
    for name, start in STARTS.items():
        arms[f"{name}, tuned"] = {"init_from": start}
        arms[f"{name}, frozen"] = {"init_from": start, "optim.layers": ("^stage: 0",)}
    for name, changes in arms.items():
        for seed in SEEDS:
            for fold in range(FOLDS):
                add({**changes, "seed": seed, "data.fold": fold}, setting=name)
