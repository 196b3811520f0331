"""COVID-19 or another finding on the films of Cohen's collection, a small CNN at 64 px.

Frontal films only; 271 of 149 patients in the snapshot that the figures of
docs/ablations.md are of, so cross-validate (`fold=K`). Arguments: `size=64` (side in
pixels of the image that the model sees), `fold=K`, `phantom` (400 synthetic films).

    python -m tfds_builders.build covid_chestxray --manual_dir=covid-chestxray-dataset
    python -m cxr_jax.main --config=configs/covid_chestxray.py --workdir=runs/cohen

Expected: AUROC 0.65 (0.56 to 0.74) over five folds by patient. Time: 8 seconds a fold on
2 cores.
"""

from cxr_jax.config import parse_arg
from cxr_jax.configs import brixia_public, common

OTHERS = (
    "No Finding",
    "Other viral",
    "Bacterial",
    "Fungal",
    "Tuberculosis",
    "Other pneumonia",
)


def get_config(arg=None):
    arg = parse_arg(arg, phantom=False, fold=-1, size=64)
    config = brixia_public.get_config(f"size={arg.size},fold={arg.fold}")
    config.data.dataset = "covid_chestxray/512"
    config.data.phantom = 400 if arg.phantom else 0
    common.use_task(
        config,
        "classify",
        "cross_entropy",
        classes=("other", "COVID-19"),
        merge=",".join(f"{name}=other" for name in OTHERS),
    )
    config.total = "20 epochs"
    return config
