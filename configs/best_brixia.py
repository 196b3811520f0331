"""The best Brixia model from few labelled films: lungs found, their zones scored linearly.

A MobileNetV2 with ImageNet weights, frozen; a decoder on its maps finds the lungs; one
linear layer scores the six zones from averages over the lung. In two stages: `lungs` trains
the decoder on lung masks, the other the linear layer on the scores of both readers. Other
arguments: `weights=FILE` (a MobileNetV2 of Keras or TensorFlow: docs/weights.md), `fold=K`,
`size=320` (side in pixels of the image that the model sees), `epochs=8`, `phantom`
(synthetic films).

    python -m tfds_builders.build covid_chestxray/segmentation --manual_dir=covid-chestxray-dataset
    python -m tfds_builders.build brixia_public --manual_dir=Brixia-score-COVID-19
    python -m cxr_jax.main --config=configs/best_brixia.py:lungs,weights=FILE --workdir=runs/lungs
    python -m cxr_jax.main --config=configs/best_brixia.py --workdir=runs/brixia \\
        --config.init_from=runs/lungs

All of it, out of fold, with the films of the scored patients kept out of the masks:
`python -m launch.results.best_brixia`. Results and time on 2 cores: docs/best_brixia.md.
"""

from ml_collections import ConfigDict

from cxr_jax.config import parse_arg
from cxr_jax.configs import common

PIXELS = "to_rgb|normalise(0.5, 0.5)"
STANDARD = "(^|/)standard/"  # of the scored films alone
FROZEN = "^features: 0"
EXCUSED = "(^|/)(classifier_1|lungs|standard|zero_kernel|bias)(/|$)"


def get_config(arg=None):
    arg = parse_arg(
        arg, lungs=False, weights="", fold=-1, size=320, epochs=8, phantom=False
    )
    config = common.get_config(arg.size)
    config.data.dataset = "brixia_public/512"
    config.data.fold = arg.fold
    config.data.phantom = 120 if arg.phantom else 0
    config.batch_size = 8
    config.total = f"{arg.epochs} epochs"
    config.model = ConfigDict()
    config.model.name = "mobilenet_v2_zones"
    config.model.dtype = "float32"
    config.model.style = "keras"
    config.init_from = arg.weights
    config.init_excuse = EXCUSED if arg.weights else STANDARD
    see = f"to_float|equalise|resize({arg.size})"
    config.preprocess.eval = f"{see}|{PIXELS}"
    config.optim.lr = 3e-3
    config.optim.clip_norm = 0.0
    config.optim.layers = (FROZEN, "^lungs/: 0")
    # One evaluation, at the end: the linear layer has one optimum, and val is few films.
    config.every.eval = config.every.checkpoint = "100 percent"
    config.report = False
    if arg.lungs:
        _use_masks(config, see)
    else:
        config.preprocess.train = f"{see}|flip_lr|{PIXELS}"
        config.task.settings.reader = "both"
    return config


def _use_masks(config: ConfigDict, see: str) -> None:
    config.data.dataset = "covid_chestxray/segmentation"
    config.data.masks = True
    # Nothing is claimed of the masks, and the films are few: val and test have the rest.
    config.data.train = "train+test"
    config.data.val, config.data.test = "val[:50%]", "val[50%:]"
    common.use_task(config, "segment", "dice_bce")
    config.preprocess.train = (
        f"{see}|affine(rotate=12, shift=0.05, zoom=0.1)|brightness(0.2)|contrast(0.2)"
        f"|flip_lr|{PIXELS}"
    )
    config.optim.layers = (FROZEN, "^(standard/|zero_kernel|bias): 0")
