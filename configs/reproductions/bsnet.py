"""BS-Net: finds the lungs, aligns them, scores six zones (Signoroni et al. 2021).

In stages, each starting from the weights of the one before, or the last stage alone from
scratch: `segment` learns lung masks; `align` the frame of the lungs in films rotated by up
to 25 degrees, shifted and zoomed by up to 10 %; `score` the head alone on those features;
`all` (the default) everything together from the scores. Other arguments: `phantom`
(synthetic films; needs no data), `fold=K`, `size=512` (side in pixels of the image that
the model sees), `as_published` (what can be had of the authors' public code:
docs/bsnet.md).

    python -m tfds_builders.build covid_radiography/segmentation --manual_dir=DIR
    python -m tfds_builders.build brixia --manual_dir=BrixIA
    python -m cxr_jax.main --config=configs/reproductions/bsnet.py:segment --workdir=runs/segment
    python -m cxr_jax.main --config=configs/reproductions/bsnet.py:align --workdir=runs/align \\
        --config.init_from=runs/segment
    python -m cxr_jax.main --config=configs/reproductions/bsnet.py:score --workdir=runs/score \\
        --config.init_from=runs/align
    python -m cxr_jax.main --config=configs/reproductions/bsnet.py:all --workdir=runs/bsnet \\
        --config.init_from=runs/score

Expected result on the releases: not measured, because they are gated. On phantoms:
docs/bsnet.md. The paper reports zone MAE 0.47 on its own test set.
"""

from ml_collections import ConfigDict

from cxr_jax.config import parse_arg
from cxr_jax.configs import common
from tfds_builders.common.errors import InputError

STAGES = ("segment", "align", "score", "all")
# The parameters that are frozen in a stage.
FROZEN = {
    "segment": "^(localiser|lateral.|merge|merge_bn|fc)/: 0",
    "align": "^(conv1|bn1|layer._.|decoder|mask|lateral.|merge|merge_bn|fc)/: 0",
    "score": "^(conv1|bn1|layer._.|decoder|mask|localiser)/: 0",
}
EPOCHS = {"segment": 30, "align": 20, "score": 30, "all": 60}


def get_config(arg=None):
    stages = dict.fromkeys(STAGES, False)
    arg = parse_arg(arg, **stages, phantom=False, fold=-1, size=512, as_published=False)
    asked = [stage for stage in STAGES if arg[stage]]
    if len(asked) > 1:
        raise InputError(
            "--config",
            f"names the stages {' and '.join(asked)}",
            "train one stage at a time",
        )
    stage = asked[0] if asked else "all"
    config = common.get_config(arg.size)
    config.data.fold = arg.fold
    config.data.phantom = 600 if arg.phantom else 0
    config.total = f"{EPOCHS[stage]} epochs"
    config.model = ConfigDict()
    config.model.name = "bsnet"
    config.model.dtype = "float32"
    config.model.dropout = 0.0
    config.model.remat = False
    config.init_excuse = ""
    if stage in FROZEN:
        config.optim.layers = (FROZEN[stage],)
    if stage in ("segment", "align"):
        _use_masks(config, stage, arg.size)
    if arg.as_published:
        _as_published(config)
    return config


def _as_published(config: ConfigDict) -> None:
    config.model.mask_scales = True
    config.model.own_heads = True
    config.model.overlap = True
    config.model.localiser = "published"
    for role in ("train", "eval"):
        text = config.preprocess[role]
        text = text.replace("to_float|", "to_float|equalise|")
        config.preprocess[role] = text.removesuffix("|standardise")


def _use_masks(config: ConfigDict, stage: str, size: int) -> None:
    config.data.dataset = "covid_radiography/segmentation"
    config.data.size = 299
    config.data.masks = True
    common.use_task(config, stage, "frame" if stage == "align" else "dice_bce")
    if stage == "align":
        begin = f"to_float|resize({size})|lung_frame"
        moves = "(rotate=25, shift=0.1, zoom=0.1)"
        config.preprocess.train = (
            f"{begin}|affine{moves}|brightness(0.2)|contrast(0.2)|flip_lr|standardise"
        )
        config.preprocess.eval = f"{begin}|pose{moves}|standardise"
