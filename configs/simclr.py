"""SimCLR: a backbone trained on unlabelled films, to start another training from.

The model sees two augmented views of every film and learns to find the other view among
those of the batch (Chen et al. 2020, arXiv 2002.05709). Any prepared dataset will do; its
labels are not used. There are no flips, because left and right matter to zones. The model
is the quickstart's CNN. Arguments: `dataset=brixia/256` (instead of phantoms), `size=64`
(side in pixels of the image that the model sees).

    python -m cxr_jax.main --config=configs/simclr.py --workdir=runs/simclr

Another training starts from it with --config.init_from=runs/simclr. Expected result on 600
phantoms: test loss 3.5 (constant predictor: 4.84), and the other view is found for 35 % of
the views (chance: 1 in 127). What such a start is worth is in docs/models.md. Time: 10
minutes for three members (--members=3) on 2 busy cores.
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
