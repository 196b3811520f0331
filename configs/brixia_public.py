"""Public Brixia scores of Cohen's films: six zones of two readers, a small CNN at 96 px.

The 192 films (91 in the snapshot that most people have) are few: one test set of 17 films
says nothing, so cross-validate (`fold=K`; the sweeps of `configs/ablations/` do), and
compare with the constant median and with the second reader. Arguments: `size=96` (side in
pixels of the image that the model sees), `fold=K`, `phantom` (120 synthetic films).

    python -m tfds_builders.build brixia_public --manual_dir=covid-chestxray-dataset
    python -m cxr_jax.main --config=configs/brixia_public.py --workdir=runs/brixia_public

Results and time on 2 cores: docs/ablations.md.
"""

from cxr_jax.config import parse_arg
from cxr_jax.configs import common


def get_config(arg=None):
    arg = parse_arg(arg, phantom=False, fold=-1, size=96)
    config = common.get_config(arg.size)
    config.data.dataset = "brixia_public/512"
    config.data.size = arg.size
    config.data.fold = arg.fold
    config.data.phantom = 120 if arg.phantom else 0
    config.batch_size = 16
    config.total = "40 epochs"
    config.model.name = "cnn"
    config.model.widths = (16, 32, 64, 128)
    config.model.stem_stride = 2
    config.model.pool = "grid"
    config.every.eval = config.every.checkpoint = "4 epochs"
    config.report = False
    return config
