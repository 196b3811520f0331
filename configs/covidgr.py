"""COVIDGR-1.0: COVID-19 (P) against not (N), ResNet-18 at 256 px.

Sensitivity is also given by severity level, as Tabik et al. 2020 report it
(doi 10.1109/JBHI.2020.3037127). Arguments: `fold=K` (of 5, by patient; the default
split is fold 0), `size=256` (side of what the model sees), `binary` (classes named as in
`configs/radiography.py:binary`, so that each is tested on the other's set), `phantom`.

    python -m tfds_builders.build covidgr --manual_dir=COVIDGR_1.0
    python -m cxr_jax.main --config=configs/covidgr.py --workdir=runs/covidgr

Expected on the release: not measured here. The reference is COVID-SDNet, accuracy
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
