"""What does a model learn from films without lungs: from a border, or a black image?

Trained and tested on whole films, with 15 to 100 % of the area hidden from the middle
outwards, and on a border of 8 % of each side alone; three seeds each, everything else the
same. If a control does as well as whole films, that result does not need the lungs
(Maguolo and Nanni 2021, arXiv 2004.12823). With 100 % hidden all images are black, which
gives chance.

    python -m launch.sweep configs/ablations/controls.py --workdir=runs/controls
    python -m launch.collect runs/controls

Arguments: `base` is 'radiography' (four classes), 'covidgr' or 'brixia', whose settings
are used; `size=128` is the side of the images in pixels. They are hidden as the audit of a
model hides them. Results: docs/audit.md. Time with the small CNN at 64 px
on 2 cores: 11 minutes.
"""

from cxr_jax.config import one_of, parse_arg
from cxr_jax.configs import brixia, common, covidgr, radiography
from cxr_jax.ops.masking import HIDDEN

BASES = {"radiography": radiography, "covidgr": covidgr, "brixia": brixia}
# Hiding 70 % leaves a border of 8 %, to within a pixel: one of the two is enough.
AT_BORDER = 0.7
ARMS = (
    "",
    *(
        "border_only()" if share == AT_BORDER else f"hide_middle({share})"
        for share in HIDDEN
    ),
)
SEEDS = (0, 1, 2)


def get_config(arg=None):
    arg = parse_arg(arg, base="radiography", size=128)
    one_of("base", arg.base, BASES)
    config = BASES[arg.base].get_config(f"size={arg.size}")
    config.data.size = arg.size
    config.preprocess.update(preprocess(""))
    return config


def preprocess(arm):
    """Both strings, with `arm` before any operation that moves the image.

    The images have their size by then, so the strings do not depend on it.
    """
    strings = common.get_config(1).preprocess
    first = f"to_float|{arm}|" if arm else "to_float|"
    return {
        role: strings[role].replace("to_float|resize(1)|", first)
        for role in ("train", "eval")
    }


def sweep(add):
    for seed in SEEDS:
        for arm in ARMS:
            strings = preprocess(arm)
            changes = {f"preprocess.{role}": text for role, text in strings.items()}
            add({**changes, "seed": seed})
