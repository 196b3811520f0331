"""BrixIA COVID-19: severity 0..3 of six lung zones, ResNet-18 at 256 px.

Arguments: `phantom` (600 synthetic films; needs no data), `overlap` (the split with test
subjects in train, to see what leakage is worth), `fold=K` (cross-validation by patient),
`size=256` (side in pixels of the image that the model sees).

    python -m tfds_builders.build brixia --manual_dir=BrixIA
    python -m cxr_jax.main --config=configs/brixia.py --workdir=runs/brixia

Expected result on the release: not measured, because it is gated. The reference is zone
MAE 0.47 (BS-Net, Signoroni et al. 2021, on their own test set). Time: 2 cores train about
15 images/s at size=128 and 5 at 256, so use a GPU for the 4,695 images.
"""

from cxr_jax.config import parse_arg
from cxr_jax.configs import common


def get_config(arg=None):
    arg = parse_arg(arg, phantom=False, overlap=False, fold=-1, size=256)
    config = common.get_config(arg.size)
    config.data.fold = arg.fold
    config.model.pool = "grid"
    if arg.overlap:
        config.data.dataset = "brixia/512_test_subjects_in_train"
    if arg.phantom:
        config.data.phantom = 600
    return config
