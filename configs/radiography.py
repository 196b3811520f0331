"""COVID-19 Radiography Database: four classes, ResNet-18 at 224 px.

Class and source are confounded in this database (children or adults, one hospital or
another): good metrics do not show that the model reads the lungs. Near-duplicates stay on
one side of the split. Arguments: `binary` (COVID or not, with the labels of COVIDGR mapped
too, so that it serves as an external test), `fold=K`, `size=224` (side in pixels of the
image that the model sees), `phantom`.

    python -m tfds_builders.build covid_radiography --manual_dir=COVID-19_Radiography_Dataset
    python -m cxr_jax.main --config=configs/radiography.py --workdir=runs/radiography
    python -m cxr_jax.main --config=configs/radiography.py:binary --workdir=runs/binary
    python -m cxr_jax.main --mode=eval --workdir=runs/binary --eval_on=covidgr:test

Expected result on the release: not measured. Others report macro F1 of 0.87 to 0.96, most
of them without grouping near-duplicates.
"""

from cxr_jax.config import parse_arg
from cxr_jax.configs import common


def get_config(arg=None):
    arg = parse_arg(arg, phantom=False, binary=False, fold=-1, size=224)
    config = common.get_config(arg.size)
    config.data.dataset = "covid_radiography/299"
    config.data.size = 299
    config.data.fold = arg.fold
    config.data.phantom = 400 if arg.phantom else 0
    config.total = "30 epochs"
    classes = ("COVID", "Lung_Opacity", "Normal", "Viral Pneumonia")
    common.use_task(config, "classify", "cross_entropy", classes=classes, balanced=True)
    if arg.binary:
        config.task.settings.classes = ("non_COVID", "COVID")
        config.task.settings.merge = (
            "Lung_Opacity=non_COVID,Normal=non_COVID,Viral Pneumonia=non_COVID,"
            "N=non_COVID,P=COVID"
        )
    return config
