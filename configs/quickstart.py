"""Zone scores of synthetic chest films, from scratch, in under 4 minutes on 2 cores.

Writes a phantom BrixIA release, builds the dataset, trains a small CNN and tests it.
Expected result: zone MAE at least 40 % below that of the constant median.

    python -m cxr_jax.main --config=configs/quickstart.py --workdir=runs/quickstart
"""

from cxr_jax.config import parse_arg
from cxr_jax.configs import common


def get_config(arg=None):
    parse_arg(arg)
    config = common.get_config()
    config.data.dataset = "brixia/256"
    config.data.size = 256
    config.data.phantom = 600
    config.total = "30 epochs"
    config.model.name = "cnn"
    config.model.widths = (16, 32, 64, 128)
    config.model.stem_stride = 2
    config.model.pool = "grid"
    config.preprocess.train = (
        "to_float|resize(96)|affine(rotate=5, shift=0.03, zoom=0.05)"
        "|brightness(0.1)|contrast(0.1)|flip_lr|standardise"
    )
    config.preprocess.eval = "to_float|resize(96)|standardise"
    return config
