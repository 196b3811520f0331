"""Protocols on which others published: their dataset and split, our ResNet-18 at 224 px.

Needs the release of the protocol; `python -m launch.results` runs it once that is there,
and docs/results.md sets the published figure beside it. In several of them the class is
the source of the film (the README of the dataset says so): a figure near 1 is then no
figure of disease. Arguments:

  protocol  covidx8b, covidx_ct, covid_xray_5k: the release's own test set. A list of
            version 8B has to be in the folder for the first.
  size=224  side in pixels of the image that the model sees; phantom: 400 synthetic films

    python -m launch.results --only=covidx8b --data=DIR

Expected result: not measured. Time: 2 cores train about 15 images/s, so use a GPU.
"""

from typing import NamedTuple

from cxr_jax.config import one_of, parse_arg
from cxr_jax.configs import common


class Protocol(NamedTuple):
    """A dataset with the split of its release, and its classes, the positive one last."""

    dataset: str
    classes: tuple[str, ...]


PROTOCOLS = {
    "covidx8b": Protocol("covidx_cxr/512_original_split", ("negative", "positive")),
    "covidx_ct": Protocol(
        "covidx_ct/512_original_split", ("Normal", "Pneumonia", "COVID-19")
    ),
    "covid_xray_5k": Protocol("covid_xray_5k/512_original_split", ("non", "covid")),
}


def get_config(arg=None):
    arg = parse_arg(arg, protocol="covidx8b", size=224, phantom=False)
    one_of("protocol", arg.protocol, PROTOCOLS)
    config = common.get_config(arg.size)
    config.data.dataset, classes = PROTOCOLS[arg.protocol]
    config.data.phantom = 400 if arg.phantom else 0
    config.total = "10 epochs"
    common.use_task(config, "classify", "cross_entropy", classes=classes, balanced=True)
    return config
