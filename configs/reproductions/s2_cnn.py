"""Two classes in {train,test}/{NORMAL,PNEUMONIA}, separable convolutions (S2): 150 px.

Both train the network of the public code on folders in that layout, as Kermany's films
of children are (Kermany 2018, doi 10.17632/rscbjbr9sj). The default keeps the films of a
patient on one side and leaves out the vertical flip, which puts the stomach above the
lungs.

Faults that `as_published` repeats: the vertical flip; the checkpoint is chosen on the
images that it is then tested on. Reported there, for COVID: accuracy about 77 %,
sensitivity 85 %, specificity 70 %. The number of epochs is not known: 20 is our choice.

    python -m tfds_builders.build image_folder --manual_dir=chest_xray
    python -m cxr_jax.main --config=configs/reproductions/s2_cnn.py --workdir=runs/s2
    python -m cxr_jax.main --config=configs/reproductions/s2_cnn.py:as_published \\
        --workdir=runs/s2_as_published

Other arguments: `classes=NORMAL+PNEUMONIA`, `phantom`. Measured on the open sample:
docs/results.md. Time: 2 cores train about 60 images/s.
"""

from ml_collections import ConfigDict

from cxr_jax.config import parse_arg
from cxr_jax.configs import common, image_folder


def get_config(arg=None):
    arg = parse_arg(arg, phantom=False, as_published=False, classes="NORMAL+PNEUMONIA")
    phantom = ",phantom" if arg.phantom else ""
    config = image_folder.get_config(f"classes={arg.classes}{phantom}")
    config.total = "20 epochs"
    config.model = ConfigDict({"name": "s2_cnn", "dtype": "float32"})
    config.task.settings.sigmoid = True
    config.task.settings.balanced = False
    common.use_keras_adam(config, lr=1e-3)
    flip = "|flip_ud" if arg.as_published else ""
    config.preprocess.train = f"to_float|resize(150)|affine(zoom=0.3){flip}|to_rgb"
    config.preprocess.eval = "to_float|resize(150)|to_rgb"
    if arg.as_published:
        config.data.val = "test"
        config.data.leaks = True
    return config
