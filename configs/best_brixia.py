"""The best Brixia model from few labelled films: lungs found, their zones scored linearly.

A MobileNetV2 with ImageNet weights, frozen; a decoder on its maps finds the lungs; one
linear layer scores the six zones from averages over the lung. In two stages: `lungs` trains
the decoder on lung masks; the other trains nothing, but keeps as a run, and tests, the model
whose linear layer was fitted in closed form (`launch.zone_ridge`). Other arguments:
`weights=FILE` (for `lungs` a MobileNetV2 of Keras or TensorFlow, see docs/weights.md; else
the fitted model), `size=320` (side in pixels of the image that the model sees), `epochs=28`
(of `lungs`), `phantom` (synthetic films).

    python -m launch.results.best_brixia --brixia=DIR --weights=FILE --out=runs/best_brixia

does both, out of fold, with the films of the scored patients kept out of the masks. Results
and time on 2 cores: docs/best_brixia.md.
"""

from ml_collections import ConfigDict

from cxr_jax.config import parse_arg
from cxr_jax.configs import common

PIXELS = "to_rgb|normalise(0.5, 0.5)"
FROZEN = "^features: 0"
EXCUSED = "(^|/)(classifier_1|lungs|standard|zero_kernel|bias)(/|$)"


def get_config(arg=None):
    arg = parse_arg(arg, lungs=False, weights="", size=320, epochs=28, phantom=False)
    config = common.get_config(arg.size)
    config.data.dataset = "brixia_public/512"
    config.data.phantom = 120 if arg.phantom else 0
    config.batch_size = 8
    config.total = f"{arg.epochs} epochs" if arg.lungs else "1 steps"
    config.model = ConfigDict()
    config.model.name = "mobilenet_v2_zones"
    config.model.dtype = "float32"
    config.model.style = "keras"
    config.init_from = arg.weights
    config.init_excuse = EXCUSED if arg.lungs or not arg.weights else "^$"
    see = f"to_float|equalise|resize({arg.size})"
    config.preprocess.eval = f"{see}|{PIXELS}"
    config.optim.lr = 3e-3
    config.optim.clip_norm = 0.0
    # One evaluation, at the end: masks and scores of val are few.
    config.every.eval = config.every.checkpoint = "100 percent"
    config.report = False
    if arg.lungs:
        _use_masks(config, see)
    else:
        config.preprocess.train = config.preprocess.eval
        config.model.mirror = True
        # Nothing is left to learn: the least rate that a run may have.
        config.optim.lr = 1e-12
        config.optim.layers = ("^(features|lungs|standard|zero_kernel): 0",)
    return config


def _use_masks(config: ConfigDict, see: str) -> None:
    config.data.dataset = "covid_chestxray/segmentation"
    config.data.masks = True
    config.batch_size = 4  # few films, so many small steps
    # Nothing is claimed of the masks, and the films are few: val and test have the rest.
    config.data.train = "train+test"
    config.data.val, config.data.test = "val[:50%]", "val[50%:]"
    common.use_task(config, "segment", "dice_bce")
    config.preprocess.train = (
        f"{see}|affine(rotate=12, shift=0.05, zoom=0.1)|brightness(0.2)|contrast(0.2)"
        f"|flip_lr|{PIXELS}"
    )
    config.optim.layers = (FROZEN, "^(standard/|zero_kernel|bias): 0")
