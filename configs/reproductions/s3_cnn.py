"""The small CNN of S3, COVID or not: 422,177 parameters at 256 px, RGB.

The published run enlarged 84 COVID images to 242 by augmentation before training, and
37 of its 100 COVID test files are byte-identical to training files. Here the network
and its augmentation are the published ones; the data are the Radiography Database, split
by near-duplicate group. Epochs, batch size and dropout rate were not published.

    python -m cxr_jax.main --config=configs/reproductions/s3_cnn.py --workdir=runs/s3

Argument: `phantom`. Expected result on the release: not measured.
"""

from ml_collections import ConfigDict

from cxr_jax.config import parse_arg
from cxr_jax.configs import common, radiography


def get_config(arg=None):
    arg = parse_arg(arg, phantom=False)
    config = radiography.get_config("binary,phantom" if arg.phantom else "binary")
    config.total = "30 epochs"
    config.model = ConfigDict({"name": "s3_cnn", "dtype": "float32"})
    config.task.settings.sigmoid = True
    config.task.settings.balanced = False
    common.use_keras_adam(config, lr=1e-3)
    config.preprocess.train = (
        "to_float|resize(256)|affine(rotate=40, shift=0.2, shear=0.2, zoom=0.2)"
        "|brightness(lo=0.2, hi=1.0)|flip_lr|to_rgb"
    )
    config.preprocess.eval = "to_float|resize(256)|to_rgb"
    return config
