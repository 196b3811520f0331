"""SimCLR: a trunk trained on pictures without labels, to begin another training with.

Every picture is seen in two augmented views, and the model learns to find the other
one among those of the batch (Chen et al. 2020, arXiv 2002.05709). Any prepared dataset
serves, its labels are not looked at. Without flips: which side of the chest a picture
shows first matters to zones. Arguments: `dataset=brixia/256` (then without phantoms),
`size=64` (side of what the model sees); the quickstart's CNN, unless config.model says
another.

    python -m cxr_jax.main --config=configs/simclr.py --workdir=runs/simclr

Another training begins with it by --config.init_from=runs/simclr. Expected on 600
phantoms: test loss 3.5, where the constant has 4.84, and the other view found for a
share of 0.35 (chance 1 in 127); what the start is worth is in docs/models.md. Time: 10
minutes for three members (--members=3) on 2 cores that had other work too.
"""

from cxr_jax.config import parse_arg
from cxr_jax.configs import common, quickstart


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
