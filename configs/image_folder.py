"""Your own images, one folder per class: ResNet-18 at 224 px.

Arguments: `classes=NORMAL+PNEUMONIA` (the names of your folders, joined by +; of two
classes the second is the positive one), `fold=K` (of 5, by patient or near-duplicate
group), `size=224` (side of what the model sees; 128 is faster), `phantom`
(400 synthetic images instead of yours).

    python -m tfds_builders.build image_folder --manual_dir=my-folder --data_dir=data
    python -m cxr_jax.main --config=configs/image_folder.py:classes=NORMAL+PNEUMONIA \
      --config.data.data_dir=data --workdir=runs/mine

A name that contains + or , is given by --config.task.settings.classes="('A+B','C')". Expected:
nothing in general; read the report, and audit the data and the model before you believe
it. Time: 2 cores train about 43 images/s at size=128.
"""

from cxr_jax.config import parse_arg
from cxr_jax.configs import common


def get_config(arg=None):
    arg = parse_arg(arg, phantom=False, classes="NORMAL+PNEUMONIA", fold=-1, size=224)
    config = common.get_config(arg.size)
    config.data.dataset = "image_folder/512"
    config.data.fold = arg.fold
    config.data.phantom = 400 if arg.phantom else 0
    config.total = "30 epochs"
    classes = tuple(arg.classes.split("+"))
    common.use_task(config, "classify", "cross_entropy", classes=classes, balanced=True)
    return config
