"""The best Brixia model of the public films: measured out of fold, and exported.

    python -m launch.results.best_brixia --brixia=DIR --weights=FILE --out=runs/best_brixia

Prepares the films with their patients, trains a lung decoder on masks of other patients,
computes the features of all zones once, fits every fold in closed form, and writes
`out_of_fold.json`; fits the model to all films, settles its intervals on the predictions
out of fold, and leaves a bundle in `--out`, for `--mode=predict
--checkpoint=runs/best_brixia`. Finished parts are not run again.
"""

from __future__ import annotations

from absl import flags, logging

from tfds_builders.common import command, places
from tfds_builders.common.errors import InputError

from ... import brixia_films
from .. import best_brixia

_BRIXIA = flags.DEFINE_string(
    "brixia", "", "Brixia-score-COVID-19, or a folder that contains it."
)
_COHEN = flags.DEFINE_string(
    "cohen",
    "",
    "covid-chestxray-dataset, with its lung masks: for the patients, and for the lungs. "
    "Omitted: beside the films.",
)
_WEIGHTS = flags.DEFINE_string("weights", "", "ImageNet weights of MobileNetV2.")
_DATA_DIR = flags.DEFINE_string(
    "data_dir", "", "Where to prepare the films, in a folder of their own; else --out."
)
_OUT = flags.DEFINE_string(
    "out", "runs/best_brixia", "Folder of runs, table and bundle."
)
_QUICK = flags.DEFINE_bool(
    "quick", False, "One seed of the lungs, trained half as long."
)
_SEEDS = flags.DEFINE_integer(
    "seeds", 3, "Trainings of the lungs; --quick has one.", lower_bound=1
)


def main(argv: list[str]) -> int:
    if len(argv) > 1:
        raise InputError("command line", f"{argv[1:]}: not a flag", "see --help")
    logging.set_verbosity(logging.ERROR)  # Orbax and TFDS tell of every file
    out = places.expanded(_OUT.value).absolute()
    weights = best_brixia.weights_of(_WEIGHTS.value)
    brixia = brixia_films.scored(_BRIXIA.value)
    cohen = brixia_films.collection(_COHEN.value or str(brixia.parent))
    data = places.expanded(_DATA_DIR.value).absolute() if _DATA_DIR.value else out
    brixia_films.prepare(brixia, cohen, data / "data_by_patient")
    argument = best_brixia.SHORT if _QUICK.value else best_brixia.FULL
    seeds = range(1 if _QUICK.value else _SEEDS.value)
    work = out / ("runs_quick" if _QUICK.value else "runs")
    proper = brixia_films.frontal(brixia, cohen)
    return best_brixia.make(
        out, work, data / "data_by_patient", weights, argument, seeds, proper
    )


if __name__ == "__main__":
    command.run(main, interrupted="run the same command again to resume")
