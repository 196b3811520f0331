"""Does contrast enhancement help, and does hiding all but the lungs change that?

The six ways of Rahman et al. 2021 (arXiv 2012.02238), who found gamma best: none,
histogram equalisation, CLAHE, complement, gamma and BCET, on whole films and on the lungs
alone. COVID-19 or another finding on the films of Cohen's collection that have a lung mask;
five folds and two seeds each, 12 epochs, everything else the same.

    python -m tfds_builders.build covid_chestxray/segmentation --manual_dir=DIR
    python -m launch.sweep configs/ablations/enhancement.py --workdir=runs/enhancement
    python -m launch.collect runs/enhancement --against="none, whole film"

Arguments: `radiography` uses Rahman's own collection with its four classes
(covid_radiography/segmentation, 6 epochs); `size=64` in pixels. Expected: nothing beyond
chance on so few films, as standardising undoes most of it. Time on 2 cores: MINUTES.
"""

from cxr_jax.config import parse_arg
from cxr_jax.configs import common, covid_chestxray, radiography
from tfds_builders.common.splits import FOLDS

WAYS = {
    "none": "",
    "equalised": "equalise(256)",
    "CLAHE": "clahe",
    "complement": "complement",
    "gamma": "gamma(0.5)",
    "BCET": "bcet",
}
FILMS = {"whole film": "", "lungs only": "lungs_only"}
SEEDS = (0, 1)


def get_config(arg=None):
    arg = parse_arg(arg, radiography=False, size=64)
    config = covid_chestxray.get_config(f"size={arg.size}")
    config.data.dataset = "covid_chestxray/segmentation"
    if arg.radiography:
        config.data.dataset = "covid_radiography/segmentation"
        classes = radiography.get_config().task.settings.classes
        common.use_task(config, "classify", "cross_entropy", classes=classes)
        config.every.eval = config.every.checkpoint = "1 epochs"
    config.total = "6 epochs" if arg.radiography else "12 epochs"
    config.data.masks = True
    config.preprocess.train = config.preprocess.eval = "to_float|standardise"
    return config


def sweep(add):
    for film, hide in FILMS.items():
        for way, op in WAYS.items():
            before = "|".join(filter(None, ["to_float", op, hide]))
            moves = "affine(rotate=10, shift=0.05, zoom=0.1)|flip_lr"
            changes = {
                "preprocess.train": f"{before}|{moves}|standardise",
                "preprocess.eval": f"{before}|standardise",
            }
            for seed in SEEDS:
                for fold in range(FOLDS):
                    add(
                        {**changes, "seed": seed, "data.fold": fold},
                        setting=f"{way}, {film}",
                    )
