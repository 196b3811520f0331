"""Severity of COVID-19 pneumonia on BrixIA and COVIDGR (S0): ResNet-18 at 256 px.

The source names the two sets and their layouts, but no network, no settings and no
figure: there is nothing `as_published` could repeat, and ours is the plain ResNet-18 of
the other configs. By default it learns the scores of six zones from the DICOM files of
BrixIA, inverted by their tag; `covidgr` learns the five grades of COVIDGR-1.0 (negative,
and the positive ones from normal to severe). Splits are by patient.

    python -m tfds_builders.build brixia --manual_dir=BrixIA
    python -m cxr_jax.main --config=configs/reproductions/s0_severity.py \\
        --workdir=runs/s0_brixia
    python -m tfds_builders.build covidgr --manual_dir=COVIDGR_1.0
    python -m cxr_jax.main --config=configs/reproductions/s0_severity.py:covidgr \\
        --workdir=runs/s0_covidgr

Other arguments: `phantom`, `fold=K`, `size=256`. Expected result on the releases: not
measured, because they are gated. Others: zone MAE 0.47 on BrixIA (BS-Net); of COVIDGR,
accuracy of positive against negative 76.18 % (COVID-SDNet), 97.72 % for severe and
61.80 % for mild. Time: 2 cores train about 5 images/s at size=256.
"""

from cxr_jax.config import parse_arg
from cxr_jax.configs import brixia, common, covidgr

GRADES = ("NEGATIVE", "NORMAL-PCR+", "MILD", "MODERATE", "SEVERE")


def get_config(arg=None):
    arg = parse_arg(arg, phantom=False, covidgr=False, fold=-1, size=256)
    rest = f"fold={arg.fold},size={arg.size}" + ",phantom" * arg.phantom
    if not arg.covidgr:
        return brixia.get_config(rest)
    config = covidgr.get_config(rest)
    common.use_task(
        config,
        "classify",
        "cross_entropy",
        classes=GRADES,
        column="severity",
        balanced=True,
    )
    config.select = "loss"  # a small val may lack a grade, and with it an AUROC
    return config
