"""SimCLR: a trunk pretrained on images without labels.

Every image is augmented twice, and the model learns to find the other view of it among
those of the batch (Chen et al. 2020, arXiv 2002.05709). Any prepared dataset will do; its
labels are not used. Without flips: the side of the chest matters for zones. Arguments:
`dataset=brixia/256` (then without phantoms), `size=64` (side of what the model sees). The
model is the quickstart's CNN, unless config.model names another.

    python -m cxr_jax.main --config=configs/simclr.py --workdir=runs/simclr

Another training starts from it with --config.init_from=runs/simclr. Expected on 600
phantoms: test loss 3.5, where the constant has 4.84, and the other view found for a
share of 0.35 (chance 1 in 127); docs/weights.md says what that is worth. Time: 10
minutes for three members (--members=3) on 2 cores that had other work too.
"""

from configs import common, quickstart
from cxr_jax.config import parse_arg


def get_config(arg=None):
    arg = parse_arg(arg, dataset="", size=64)
    config = quickstart.get_config()
    if arg.dataset:
        config.data.dataset = arg.dataset
        config.data.phantom = 0
    config.batch_size = 128
    config.total = "200 epochs"
    common.use_task(config, "contrast", "nt_xent")
    config.model.pool = "projection"
    config.preprocess.train = (
        f"to_float|resize({arg.size})|affine(rotate=10, shift=0.15, zoom=0.25)"
        "|brightness(0.4)|contrast(0.4)|erase(0.2)|standardise"
    )
    config.preprocess.eval = f"to_float|resize({arg.size})|standardise"
    config.every.eval = "5 percent"
    config.every.checkpoint = "5 percent"
    return config
