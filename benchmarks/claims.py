"""Whether what a run claims is so: on drawn data whose truth is known.

    python -m benchmarks.claims --table=areas   # intervals of an AUROC with few positives
    python -m benchmarks.claims --table=ece     # a calibrated model within its range
    python -m benchmarks.claims --table=sets    # 90 % sets after picking a checkpoint
    python -m benchmarks.claims --table=verdicts --sets=200  # audits where nothing is wrong

Everything goes through the functions that a run uses.
"""

from __future__ import annotations

import itertools
from functools import partial

import numpy as np
from absl import flags
from scipy import special, stats

from benchmarks import machine
from configs import common
from cxr_jax import rng
from cxr_jax.audits.data import audit as data_audit
from cxr_jax.audits.data import baselines
from cxr_jax.audits.model import alterations
from cxr_jax.audits.model.conclusions import altered, conclude, hidden
from cxr_jax.evaluation import settling, subgroups
from cxr_jax.metrics.confidence import DRAWS
from cxr_jax.stats import (
    bootstrap,
    calibration,
    conformal,
    probability,
    significance,
    tempering,
    weighted,
)
from cxr_jax.stats.patients import Rests
from cxr_jax.tasks import make_task
from tfds_builders.common import command

# Images of a patient, who is of one class with all of them.
IMAGES = 2
CHECKPOINTS = 20


def share(hits: int, of: int) -> str:
    """'93.0 % (90.1-95.1)', with Wilson's interval."""
    low, high = stats.binomtest(hits, of).proportion_ci(method="wilson")
    return f"{hits / of:.1%} ({100 * low:.1f}-{100 * high:.1f})"


def areas(sets: int, resamples: int, positives=(2, 3, 4, 5, 6, 8, 10, 15)) -> str:
    """Two normals, 60 negative patients; scores of a patient's images are correlated."""
    lines = [
        f"{'area':>6}{'images':>8}{'positives':>11}{'percentiles':>22}{'ours':>22}"
    ]
    for apart, several in itertools.product((1.0, 2.0), (False, True)):
        true = float(stats.norm.cdf(apart / np.sqrt(2)))
        for number in positives:
            held, ours = 0, 0
            numbers = rng.generator(number, f"areas {apart} {several}")
            for k in range(sets):
                sizes = numbers.geometric(1 / 3 if several else 1, number + 60)
                patient = np.repeat(np.arange(number + 60), sizes)
                positive = patient < number
                shared = numbers.normal(size=number + 60)[patient]
                own = numbers.normal(size=len(patient))
                scores = np.sqrt(0.6) * shared + np.sqrt(0.4) * own + apart * positive
                area = partial(weighted.auroc, positive, scores)
                values = bootstrap.per_row(
                    area, bootstrap.weights(patient, resamples, k)
                )
                n = len(patient)
                for_percentiles = bootstrap.summary(values, n, undefined="")
                found = bootstrap.summary(values, n, undefined="", area_of=number)
                held += for_percentiles.lo <= true <= for_percentiles.hi
                # Where all resamples are 1 no interval is printed at all.
                ours += found.lo <= true <= found.hi or not found.has_interval
            images = "several" if several else "one"
            cells = f"{share(held, sets):>22}{share(ours, sets):>22}"
            lines.append(f"{true:6.2f}{images:>8}{number:11}{cells}")
    return "\n".join(lines)


def calibrated(numbers, people: int, off: float = 0.0):
    """(label [n], probabilities [n, 2], patient [n]) that are right but for `off`."""
    patient = np.repeat(np.arange(people), IMAGES)
    score = np.clip(numbers.beta(1.2, 1.2, people)[patient], 0.01, 0.99)
    chance = special.expit(special.logit(score) * (1 - off))
    label = (numbers.random(people)[patient] < chance).astype(int)
    return label, np.stack([1 - score, score], axis=1), patient


def errors(sets: int, resamples: int, sizes=(20, 60, 200)) -> str:
    """Calibrated models; and some that are too sure, whose true error is known."""
    lines = [
        f"{'patients':>9}{'too sure by':>12}{'true ece':>9}{'ece':>7}{'true rms':>9}"
        + f"{'debiased':>9}{'within range':>22}{'old interval holds it':>24}"
    ]
    for people in sizes:
        for off in (0.0, 0.4):
            numbers = rng.generator(people, f"errors {off}")
            (true, true_rms), inside, held = _true_error(off), 0, 0
            plain, squares = [], []
            for k in range(sets):
                label, probs, patient = calibrated(numbers, people, off)
                pair = label == 1, probs[:, 1]
                ece = probability.calibration_error(*pair)
                drawn = probability.calibrated_errors(*pair, patient, DRAWS, k)
                inside += np.quantile(drawn, 0.025) <= ece <= np.quantile(drawn, 0.975)
                plain.append(ece)
                squares.append(probability.mean_square_gap(*pair, patient))
                counts = bootstrap.weights(patient, resamples, k)
                low, high = _old_interval(*pair, counts)
                held += low <= true <= high
            debiased = np.sqrt(max(0.0, np.mean(squares)))
            lines.append(
                f"{people:9}{off:12.0%}{true:9.3f}{np.mean(plain):7.3f}{true_rms:9.3f}"
                f"{debiased:9.3f}{share(inside, sets):>22}{share(held, sets):>24}"
            )
    return "\n".join(lines)


def _true_error(off: float) -> tuple[float, float]:
    """Mean and root mean square of what is wrong, over all confidences."""
    numbers = rng.generator(0, "true error")
    score = np.clip(numbers.beta(1.2, 1.2, 10**6), 0.01, 0.99)
    gap = special.expit(special.logit(score) * (1 - off)) - score
    return float(np.abs(gap).mean()), float(np.sqrt((gap**2).mean()))


def _old_interval(positive, scores, counts) -> tuple[float, float]:
    """The percentile interval of 15 bins that was printed before."""
    order = np.argsort(scores, kind="stable")
    place = np.empty(len(scores), int)
    place[order] = np.arange(len(scores)) * 15 // len(scores)
    gap = np.zeros((len(scores), 15))
    gap[np.arange(len(scores)), place] = positive - scores
    values = np.abs(counts @ gap).sum(axis=1) / counts.sum(axis=1)
    low, high = np.quantile(values[1:], (0.025, 0.975))
    return float(low), float(high)


def sets_after_selection(trials: int, sizes=(7, 20, 40, 76, 200)) -> str:
    """The best of CHECKPOINTS by AUROC on val, then sets for 90 % on new patients."""
    config = common.get_config()
    common.use_task(config, "classify", "cross_entropy", classes=("no", "yes"))
    task = make_task(config.task)
    lines = [
        f"{'patients of val':>16}{'all of val, as before':>30}{'the other half':>30}"
        + f"{'classes in a set':>18}"
    ]
    for people in sizes:
        numbers = rng.generator(people, "sets")
        found = {"before": [], "now": [], "size": []}
        for _ in range(trials):
            label, probs, patient = _checkpoints(numbers, people)
            new, new_probs, _ = _checkpoints(numbers, 300)
            everything = np.arange(len(label))
            parts = settling.parts(task, patient, {"label": label})
            for name, (picks, settles) in {
                "before": (everything, everything),
                "now": parts,
            }.items():
                best = _best(label[picks], probs[:, picks])
                own = {"label": label[settles]}, {"probs": probs[best, settles]}
                fitted = task.decide(*own, patient[settles])["confidence"]
                after = tempering.tempered(new_probs[best], fitted["temperature"])
                if name == "before":  # empty sets were possible then
                    held = conformal.truth(new, after) >= fitted["least"]
                else:
                    sets = conformal.sets(after, fitted["least"])
                    held = sets[np.arange(len(new)), new]
                    found["size"].append(sets.sum(axis=1).mean())
                found[name].append(held.mean())
        cells = "".join(f"{_mean(found[name]):>30}" for name in ("before", "now"))
        lines.append(f"{people:16}{cells}{np.mean(found['size']):18.2f}")
    return "\n".join(lines)


def _mean(values: list[float]) -> str:
    error = 1.96 * np.std(values) / np.sqrt(len(values))
    return f"{np.mean(values):.3f} ({np.mean(values) - error:.3f}-{np.mean(values) + error:.3f})"


def _checkpoints(numbers, people: int):
    """(label [n], probabilities [C, n, 2], patient [n]) of equally good checkpoints."""
    patient = np.repeat(np.arange(people), IMAGES)
    label = (numbers.random(people) < 0.4).astype(int)
    label[:2] = 0, 1  # an area needs both
    shared = numbers.normal(size=people)
    own = numbers.normal(size=(CHECKPOINTS, people))
    image = numbers.normal(size=(CHECKPOINTS, len(patient)))
    odds = 1.6 * (2 * label - 1) + 0.7 * shared + own
    odds = 1.5 * (odds[:, patient] + 0.7 * image)
    score = special.expit(odds)
    return label[patient], np.stack([1 - score, score], axis=-1), patient


def _best(label, probs) -> int:
    """By AUROC, then by loss, as a training picks."""
    ones = np.ones((1, len(label)))
    keys = []
    for each in probs:
        area = weighted.auroc(label == 1, each[:, 1], ones)[0]
        keys.append((-area, calibration.log_losses(each, label).mean()))
    return min(range(len(keys)), key=keys.__getitem__)


# Of a model: what it may say of a set in which nothing is wrong.
FALSE = ("shortcut", "shortcut_helps", "robustness", "worst_group")
_GROUPS = (("sex", 2), ("hospital", 4), ("age", 3))


def verdicts(sets: int, resamples: int, people: int = 100) -> str:
    """False verdicts: of labels drawn at random, and of a model that is right for lungs.

    One family is one audit of a model: 3 controls, 35 alterations, 9 groups; or of data:
    4 baselines.
    """
    found = {"nothing to know": [], "a model of lungs": []}
    before = {name: [] for name in found}
    blind, blind_before = 0, 0
    for k in range(sets):
        numbers = rng.generator(k, "verdicts")
        patient = np.repeat(np.arange(people), IMAGES)
        positive = (numbers.random(people) < 0.5)[patient]
        counts = bootstrap.weights(patient, resamples, k)
        for name, signal in (("nothing to know", 0.0), ("a model of lungs", 1.5)):
            told, one_by_one = _audited(numbers, positive, patient, signal, counts)
            found[name].append(told)
            before[name].append(one_by_one)
        told, one_by_one = _without_lung(numbers, positive, patient, counts)
        blind, blind_before = blind + told, blind_before + one_by_one
    lines = [f"{'':36}{'false, after Holm':>22}{'as before, one by one':>25}"]
    for name, each in found.items():
        for kind in (*FALSE, "any of these"):
            now, old = (
                sum(
                    bool(told) if kind == "any of these" else kind in told
                    for told in sides
                )
                for sides in (each, before[name])
            )
            cells = f"{share(now, sets):>22}{share(old, sets):>25}"
            lines.append(f"{name + ', ' + kind:36}{cells}")
    cells = f"{share(blind, sets):>22}{share(blind_before, sets):>25}"
    return "\n".join([*lines, f"{'label without a lung':36}{cells}"])


def _audited(numbers, positive, patient, signal: float, counts):
    """-> (false verdicts of an audit, and those that each cell alone would give)."""

    def scores(strength):
        """What varies from picture to picture is drawn again, as any change does."""
        return strength * positive + shared + 0.4 * numbers.normal(size=len(positive))

    def area(values):
        statistic = partial(weighted.auroc, positive, values)
        return bootstrap.replicates(Rests(statistic, (positive, ~positive)), counts)

    shared = numbers.normal(size=patient.max() + 1)[patient]
    base, images = scores(signal), len(positive)
    whole = area(base)
    without = {
        name: hidden("auroc", area(scores(0.0)), whole, 0.5, images)
        for name in ("border only", "lungs hidden")
    }
    changed = {
        name: [
            altered("auroc", area(scores(signal)), whole, images)
            for _ in alteration.strengths
        ]
        for name, alteration in alterations.ALTERATIONS.items()
    }
    table = {"patient_id": patient}
    for name, levels in _GROUPS:
        drawn = numbers.integers(0, levels, patient.max() + 1)[patient]
        table[name] = [f"{name}{level}" for level in drawn]

    def make(members):
        own = positive[members]
        statistic = partial(weighted.auroc, own, base[members])
        return {"auroc": Rests(statistic, (own, ~own))}

    rows = subgroups.of_metrics(table, {}, make, counts, ("auroc",))
    estimate = bootstrap.summary(whole, images, undefined="")
    told = conclude("auroc", 0.5, estimate, without, changed, rows)
    now = {v.kind for v in told if v.values.get("first", "") is not None}
    alone = set()
    for each in without.values():
        if each.figure.lo > 0.5:
            alone.add("shortcut" if each.left.value >= 0.5 else "shortcut_helps")
    # The alteration that costs most, from the first strength of which an interval is
    # above 0.
    worst = max(changed.values(), key=lambda found: found[-1].lost.value)
    if any(each.lost.lo > 0 for each in worst):
        alone.add("robustness")
    if any(row.gaps["auroc"].lo > 0 for row in rows):
        alone.add("worst_group")
    return now & set(FALSE), alone


def _without_lung(numbers, positive, patient, counts) -> tuple[bool, bool]:
    found = []
    for name in ("border", "border_histogram", "size", "metadata"):
        values = numbers.normal(size=patient.max() + 1)[patient]
        drawn = bootstrap.replicates(partial(weighted.auroc, positive, values), counts)
        area = bootstrap.summary(drawn, len(positive), undefined="")
        p = significance.p_value(drawn - 0.5)
        found.append(baselines.Baseline(name, name, area, {}, p))
    now = bool(data_audit.without_lung("drawn", found))
    return now, any(each.auroc.lo > 0.5 for each in found)


def main(argv: list[str]) -> None:
    del argv
    values = flags.FLAGS
    print(machine.describe("numpy", "scipy"), flush=True)
    tables = {
        "areas": partial(areas, values.sets, values.resamples),
        "ece": partial(errors, values.sets, values.resamples),
        "sets": partial(sets_after_selection, values.sets),
        "verdicts": partial(verdicts, values.sets, values.resamples),
    }
    print(f"{values.table}: {values.sets} sets, {values.resamples} resamples")
    print(tables[values.table]())


if __name__ == "__main__":
    flags.DEFINE_enum(
        "table", "sets", ["areas", "ece", "sets", "verdicts"], "which one"
    )
    flags.DEFINE_integer("sets", 400, "drawn for each row")
    flags.DEFINE_integer("resamples", 1000, "of the bootstrap")
    command.run(main)
