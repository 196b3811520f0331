"""COVIDGR-1.0: COVID-19 (P) or not (N), ResNet-18 at 256 px.

Sensitivity is also reported by severity level, as in Tabik et al. 2020
(doi 10.1109/JBHI.2020.3037127). Arguments: `fold=K` (of 5, by patient; the default
split is fold 0), `size=256` (side in pixels of the image that the model sees), `binary`
(classes named as in `configs/radiography.py:binary`, so that each model can be tested on
the other's data), `phantom`.

    python -m tfds_builders.build covidgr --manual_dir=COVIDGR_1.0
    python -m cxr_jax.main --config=configs/covidgr.py --workdir=runs/covidgr

Expected result on the release: not measured. The reference is COVID-SDNet, accuracy
76.18 +- 2.70 in 5 x 5-fold cross-validation.
"""

from cxr_jax.config import parse_arg
from cxr_jax.configs import common


def get_config(arg=None):
    arg = parse_arg(arg, phantom=False, binary=False, fold=-1, size=256)
    config = common.get_config(arg.size)
    config.data.dataset = "covidgr/512"
    config.data.fold = arg.fold
    config.data.phantom = 400 if arg.phantom else 0
    common.use_task(
        config, "classify", "cross_entropy", classes=("N", "P"), label_smoothing=0.05
    )
    if arg.binary:
        config.task.settings.classes = ("non_COVID", "COVID")
        config.task.settings.merge = "N=non_COVID,P=COVID"
    return config
