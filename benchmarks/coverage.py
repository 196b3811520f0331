"""How often intervals contain the true value, and prediction sets the class.

    python -m benchmarks.coverage [--datasets=1000] [--patients=150] [--resamples=2000]
    python -m benchmarks.coverage --run=runs/a --run=runs/b [--splits=300]

Without a run, datasets are simulated in which the images of a patient are correlated,
and whose true metrics are known in closed form; the bootstrap over patients is compared
with one over images, which takes them as independent.

With runs, the val and test predictions of each are pooled and split again many times,
so that val and test differ only by chance; prediction sets are fitted on one part and
evaluated on the other, as in an evaluation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from absl import flags
from scipy import stats

from benchmarks import machine
from cxr_jax import rng
from cxr_jax.data import roles
from cxr_jax.metrics import brixia, confidence
from cxr_jax.runs import predictions as stored_lib
from cxr_jax.stats import bootstrap, conformal, tempering, weighted
from cxr_jax.tasks import make_task
from tfds_builders.common import command, places

# Share of the variance between images that lies between patients.
COMMON = 0.6
# Mean number of images per patient, geometrically distributed.
IMAGES = 3
Statistic = Callable[[np.ndarray], np.ndarray]


class Case(NamedTuple):
    """A metric with a known true value.

    Attributes:
      name, truth: of the metric.
      draw: (generator, patient of each image [n]) -> weights [R, n] -> [R].
    """

    name: str
    truth: float
    draw: Callable[[np.random.Generator, np.ndarray], Statistic]


class Held(NamedTuple):
    """How many intervals contain the true value, and their mean width."""

    count: int
    datasets: int
    width: float


def cases() -> list[Case]:
    """Cases of simulated readings and scores; of the limits of agreement, the upper."""
    normal = stats.norm.cdf
    return [
        Case("mae", float(np.sqrt(2 / np.pi)), _absolute_error),
        Case("limit of agreement", brixia.LIMITS, _limit),
        Case("auroc", float(normal(_APART / np.sqrt(2))), _auroc),
        Case("sensitivity", float(normal(_APART - _THRESHOLD)), _sensitivity),
        Case("icc", _CASES / (_CASES + _NOISE + _OFF**2 / 2), _intraclass),
        Case("quadratic kappa", _true_kappa(), _kappa),
    ]


def study(
    chosen: Sequence[Case], datasets: int, patients: int, resamples: int, seed: int = 0
) -> dict[str, dict[str, Held]]:
    """Returns {metric: {'patients': Held, 'images': Held}}, by what is resampled.

    Every dataset has its own patients, images and resamples.
    """
    counts = {case.name: {"patients": 0, "images": 0} for case in chosen}
    widths = {case.name: {"patients": 0.0, "images": 0.0} for case in chosen}
    for dataset in range(datasets):
        generator = rng.generator(seed, f"coverage {dataset}")
        sizes = generator.geometric(1 / IMAGES, patients)
        patient = np.repeat(np.arange(patients), sizes)
        statistics = {case.name: case.draw(generator, patient) for case in chosen}
        for drawn, units in (("patients", patient), ("images", range(len(patient)))):
            weights = bootstrap.weights(units, resamples, seed + dataset)
            for case in chosen:
                found = bootstrap.estimate(
                    statistics[case.name], weights, undefined="undefined"
                )
                counts[case.name][drawn] += found.lo <= case.truth <= found.hi
                widths[case.name][drawn] += (found.hi - found.lo) / datasets
    return {
        name: {
            drawn: Held(int(count), datasets, widths[name][drawn])
            for drawn, count in each.items()
        }
        for name, each in counts.items()
    }


# Parameters of the simulated readings, in standard deviations.
_APART, _THRESHOLD = 1.2, 0.3
_CASES, _NOISE, _OFF = 2.25, 0.64, 0.4
_SHARED, _CUTS = 0.8, (-0.5, 0.5, 1.2)


def _effect(generator, patient) -> np.ndarray:
    """Standard normal numbers, correlated by COMMON within a patient."""
    own = generator.normal(size=len(patient))
    of_patient = generator.normal(size=patient.max() + 1)[patient]
    return np.sqrt(COMMON) * of_patient + np.sqrt(1 - COMMON) * own


def _absolute_error(generator, patient) -> Statistic:
    return partial(weighted.mean, np.abs(_effect(generator, patient)))


def _limit(generator, patient) -> Statistic:
    return partial(brixia.limit, _effect(generator, patient), brixia.LIMITS)


def _scored(generator, patient):
    """A patient's images are all positive or all not; positive ones score higher."""
    positive = (generator.random(patient.max() + 1) < 0.4)[patient]
    return positive, _APART * positive + _effect(generator, patient)


def _auroc(generator, patient) -> Statistic:
    return partial(weighted.auroc, *_scored(generator, patient))


def _sensitivity(generator, patient) -> Statistic:
    positive, scores = _scored(generator, patient)
    return partial(weighted.ratio, positive & (scores >= _THRESHOLD), positive)


def _intraclass(generator, patient) -> Statistic:
    """Two readers, one of whom reads higher; truth as in Shrout and Fleiss 1979."""
    case = np.sqrt(_CASES) * _effect(generator, patient)
    ratings = [
        case + off + np.sqrt(_NOISE) * _effect(generator, patient)
        for off in (0.0, _OFF)
    ]
    return partial(weighted.intraclass, np.stack(ratings, axis=-1))


def _kappa(generator, patient) -> Statistic:
    """Two readings of four levels, cut from normal ones with correlation _SHARED."""
    case = np.sqrt(_SHARED) * _effect(generator, patient)
    levels = [
        np.digitize(
            case + np.sqrt(1 - _SHARED) * _effect(generator, patient), _CUTS
        ).astype(float)
        for _ in range(2)
    ]
    return partial(weighted.quadratic_kappa, *levels)


def _true_kappa() -> float:
    """From the cells of the table, each a rectangle of the bivariate normal."""
    normal = stats.multivariate_normal([0, 0], [[1, _SHARED], [_SHARED, 1]])
    edges = np.array([-9.0, *_CUTS, 9.0])
    below = np.array([[normal.cdf([x, y]) for y in edges] for x in edges])
    cells = np.diff(np.diff(below, axis=0), axis=1)
    apart = (np.arange(4)[:, None] - np.arange(4)) ** 2
    chance = np.outer(cells.sum(axis=1), cells.sum(axis=0))
    return float(1 - (apart * cells).sum() / (apart * chance).sum())


class Dealt(NamedTuple):
    """Prediction sets of one kind of split: their coverage and size."""

    coverage: np.ndarray
    size: np.ndarray


def deal(labels, probs, units, first: int, splits: int, seed: int = 0) -> Dealt:
    """Returns coverage and mean size of the 90 % sets for each split: [splits].

    Args:
      labels, probs: [N, G] and [N, G, K] of val and test together.
      units: [N], what stays together: the patient of each image.
      first: number of images to fit on, as in val; a few more if the last patient
        has several.
    """
    generator = rng.generator(seed, "deal")
    unique, unit = np.unique(units, return_inverse=True)
    coverage, size = [], []
    for _ in range(splits):
        place = generator.permutation(len(unique))[unit]
        until = np.sort(place)[first - 1]
        val = place <= until
        fitted = confidence.fit_confidence(labels[val], probs[val], units[val])
        after = tempering.tempered(probs[~val], fitted["temperature"])
        least = fitted["least"]
        sets = conformal.sets(after, least)
        held = np.take_along_axis(sets, labels[~val][..., None], axis=-1)
        coverage.append(held.mean())
        size.append(sets.sum(axis=-1).mean())
    return Dealt(np.array(coverage), np.array(size))


def of_runs(folders: Sequence[str], splits: int) -> str:
    """Returns the table of prediction sets."""
    head = f"{'run':28}{'dealt':>9}{'val':>6}{'test':>6}{'coverage':>10}{'sd':>7}"
    head += f"{'95 % range':>16}{'set size':>10}"
    lines = [f"split {splits} times; sd and 95 % range over the splits", head]
    for folder in folders:
        labels, probs, patients, first = _predictions(folder)
        ways = {"images": np.arange(len(labels))}
        if len(set(patients)) < len(labels):
            ways["patients"] = patients
        for name, units in ways.items():
            found = deal(labels, probs, units, first, splits)
            low, high = np.quantile(found.coverage, (0.025, 0.975))
            lines.append(
                f"{folder[-27:]:28}{name:>9}{first:6}{len(labels) - first:6}"
                f"{found.coverage.mean():10.3f}{found.coverage.std():7.3f}"
                f"{f'{low:.3f}-{high:.3f}':>16}{found.size.mean():10.2f}"
            )
    return "\n".join(lines)


def _predictions(folder: str):
    """(labels [N, G], probs [N, G, K], patients [N], images of val) of a run."""
    run = stored_lib.read(places.expanded(folder))
    task = make_task(run.config.task)
    splits = roles.open_splits(run.config.data, stored_lib.home(run))
    stored_lib.check_data([run], splits.description)
    parts = []
    for role, split in (("val", splits.val), ("test", splits.test)):
        name = f"{split.dataset}-{role}"
        missing = "train WORKDIR again to write the predictions of val and test"
        parts.append(stored_lib.gather(task, [run], split, name, missing))
    return (
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.probs[0] for part in parts]),
        np.concatenate([part.split.table["patient_id"] for part in parts]),
        len(parts[0].labels),
    )


def table(found: dict[str, dict[str, Held]], truths: dict[str, float]) -> str:
    """Returns the table of shares, with Wilson intervals."""
    lines = [f"{'':18}{'truth':>7}{'over patients':>26}{'over images':>26}{'width':>8}"]
    for name, each in found.items():
        cells = "".join(f"{_share(each[key]):>26}" for key in ("patients", "images"))
        ratio = each["images"].width / each["patients"].width
        lines.append(f"{name:18}{truths[name]:7.3f}{cells}{ratio:8.2f}")
    lines.append(
        "width: of the intervals over images, as a share of those over patients"
    )
    return "\n".join(lines)


def _share(held: Held) -> str:
    low, high = stats.binomtest(held.count, held.datasets).proportion_ci(
        method="wilson"
    )
    return f"{held.count / held.datasets:.1%} ({low:.1%}-{high:.1%})"


def main(argv: list[str]) -> None:
    values = flags.FLAGS
    print(machine.describe("numpy", "scipy"), flush=True)
    if values.run:
        print(of_runs(values.run, values.splits))
        return
    settings = values.datasets, values.patients, values.resamples
    print(
        "{} datasets of {} patients, {} resamples, ".format(*settings)
        + f"{IMAGES} images of a patient in the mean, correlation {COMMON}"
    )
    truths = {case.name: case.truth for case in cases()}
    print(table(study(cases(), *settings), truths))


if __name__ == "__main__":
    flags.DEFINE_integer("datasets", 1000, "number to simulate")
    flags.DEFINE_integer("patients", 150, "per dataset")
    flags.DEFINE_integer("resamples", 2000, "of the bootstrap")
    flags.DEFINE_multi_string(
        "run", [], "finished runs whose prediction sets are evaluated"
    )
    flags.DEFINE_integer("splits", 300, "splits of each run")
    command.run(main)
