"""A small CNN with transferred weights, COVID against the rest (S1): 224 px, RGB.

The source names neither its network nor its settings: a small model, weights from
ImageNet, 8,723 images of one size in two class folders, and a training accuracy above
97 %. The smallest trunk with public ImageNet weights stands for it, MobileNetV1 with
alpha 0.25 (229,585 parameters), and the Radiography Database for its images.

`as_published` reports what was reported: accuracy on the images that were trained on. The
default tests on the films of other patients, or near-duplicate groups.

    python -m cxr_jax.main --config=configs/reproductions/s1_cnn.py --workdir=runs/s1
    python -m cxr_jax.main --config=configs/reproductions/s1_cnn.py:as_published \\
        --workdir=runs/s1_as_published

Other arguments: `weights=FILE` (Keras's mobilenet_2_5_224; drawn without), `size=224`,
`phantom`. Without weights a short training is not enough: after 190 steps at 64 px it
called every film the same (AUROC 0.50, one run). Measured on the open sample: docs/results.md. Time: 2 cores train about 55
images/s at size=128.
"""

from ml_collections import ConfigDict

from cxr_jax.config import parse_arg
from cxr_jax.configs import common, radiography


def get_config(arg=None):
    arg = parse_arg(arg, phantom=False, as_published=False, weights="", size=224)
    config = radiography.get_config("binary,phantom" if arg.phantom else "binary")
    config.total = "30 epochs"
    config.model = ConfigDict({"name": "s1_cnn", "dtype": "float32"})
    config.init_from = arg.weights
    config.task.settings.sigmoid = True
    config.task.settings.balanced = False
    common.use_keras_adam(config, lr=1e-3)
    resize = f"to_float|resize({arg.size})"
    end = "to_rgb|normalise(0.5, 0.5)"  # as Keras scales for MobileNet
    config.preprocess.train = (
        f"{resize}|affine(rotate=10, shift=0.1, zoom=0.1)|flip_lr|{end}"
    )
    config.preprocess.eval = f"{resize}|{end}"
    if arg.as_published:
        config.data.test = "train"
        config.data.leaks = True
    return config
