"""The four-class Radiography CNN (S4): 2,943,428 parameters at 299 px.

Network, optimiser, plateau and early stopping as published; reported there: accuracy
70.16 %, macro F1 64.84. Its two faults are not repeated: lung masks were among the
training images, and the test set was cut by file name, with near-duplicates on both
sides. Here masks are left out and the split is by near-duplicate group.

    python -m cxr_jax.main --config=configs/reproductions/s4_cnn.py --workdir=runs/s4

Argument: `phantom`. Expected result on the release: not measured.
"""

from ml_collections import ConfigDict

from cxr_jax.config import parse_arg
from cxr_jax.configs import common, radiography


def get_config(arg=None):
    arg = parse_arg(arg, phantom=False)
    config = radiography.get_config("phantom" if arg.phantom else None)
    config.batch_size = 16
    config.total = "300 epochs"
    config.model = ConfigDict({"name": "s4_cnn", "dtype": "float32"})
    config.task.settings.balanced = False
    common.use_keras_adam(config, lr=2e-3)
    config.plateau.patience = 10
    config.plateau.factor = 0.5
    config.plateau.floor = 1e-5
    config.stop_patience = 100
    config.select = "loss"
    config.preprocess.train = "to_float|affine(rotate=20, shift=0.2)|flip_lr"
    config.preprocess.eval = "to_float"
    return config
