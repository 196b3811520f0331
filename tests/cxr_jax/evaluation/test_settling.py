"""Which patients of val pick the checkpoint, and which settle thresholds and sets."""

import numpy as np
import pytest

from cxr_jax import experiment
from cxr_jax.evaluation import evaluators, settling
from cxr_jax.rng import generator
from cxr_jax.stats import bootstrap
from tests.cxr_jax.tasks.test_tasks import classify, make, split


def drawn(patients, images=2):
    label = np.repeat(generator(0, "settling").integers(0, 2, patients), images)
    return [f"p{i}" for i in np.repeat(np.arange(patients), images)], {"label": label}


@pytest.mark.parametrize("patients", [20, 33, 200])
def test_halves_share_no_patient_and_have_the_same_classes(patients):
    ids, targets = drawn(patients)
    found = settling.parts(classify(), ids, targets)
    ids, label = np.array(ids), targets["label"]
    assert not set(ids[found.selecting]) & set(ids[found.settling])
    assert sorted([*found.selecting, *found.settling]) == list(range(len(ids)))
    for k in range(2):
        counts = [
            len(set(ids[rows][label[rows] == k]))
            for rows in (found.selecting, found.settling)
        ]
        assert counts[0] - counts[1] in (0, 1)


def test_the_parts_depend_on_the_patients_and_not_on_their_order():
    ids, targets = drawn(40)
    order = generator(3, "order").permutation(len(ids))
    one = settling.parts(classify(), ids, targets)
    mixed = {"label": targets["label"][order]}
    other = settling.parts(classify(), np.array(ids)[order], mixed)
    for a, b in zip(one, other, strict=True):
        assert {ids[i] for i in a} == {np.array(ids)[order][i] for i in b}


def test_a_class_of_one_patient_helps_to_pick():
    ids, targets = drawn(30)
    targets["label"][:] = 0
    targets["label"][6:8] = 1
    found = settling.parts(classify(), ids, targets)
    assert {6, 7} <= set(found.selecting)


def test_scores_are_alike_in_both_parts():
    scores = generator(0, "scores").integers(0, 4, (60, 6))
    found = settling.parts(make(), [f"p{i}" for i in range(60)], {"scores": scores})
    assert len(found.selecting) == len(found.settling) == 30
    means = [scores[rows].sum(axis=1).mean() for rows in found]
    assert abs(means[0] - means[1]) < 0.5


def test_seven_images_pick_and_settle_nothing():
    """Thresholds stay at 0.5, the temperature at 1, and every class is in every set."""
    task, images = classify(), 7
    ids, targets = drawn(images, 1)
    found = settling.parts(task, ids, targets)
    assert len(found.selecting) == 7 and len(found.settling) == 0
    probs = np.full((7, 2), 0.5)
    none = {"label": np.zeros(0, int)}, {"probs": probs[:0]}
    decision = task.decide(*none, [])
    assert decision["thresholds"] == [0.5, 0.5]
    assert decision["confidence"] == {
        "temperature": 1.0,
        "vector": {"scale": [1.0, 1.0], "shift": [0.0, 0.0]},
        "least": 0.0,
    }
    predictions = {"probs": probs, "loss": np.zeros(7)}
    made = split(label=targets["label"], names={"label": ("no", "yes")})
    figures = task.metrics(made, targets, predictions, decision, bootstrap.draw(ids, 0))
    assert figures["coverage_90"].value == 1 and figures["set_size_90"].value == 2


def test_a_task_without_probabilities_uses_all_of_val():
    found = settling.parts(make("segment", "dice_bce"), ["a", "b"], {})
    assert found.selecting.tolist() == found.settling.tolist() == [0, 1]


def test_what_is_settled_does_not_depend_on_what_picks(tiny_config):
    """Nor does what picks depend on the images that settle."""
    task = classify()
    exp = experiment.build(tiny_config, train_examples=40)._replace(task=task)
    ids, targets = drawn(60)
    g = generator(1, "probabilities")
    score = np.clip(0.3 * targets["label"] + 0.7 * g.random(120), 0, 1)
    val = split(label=targets["label"], names={"label": ("no", "yes")})
    val.table["patient_id"][:] = ids
    parts = settling.parts(task, ids, targets)

    def run(score):
        predictions = {
            "probs": np.stack([1 - score, score], axis=1),
            "loss": np.zeros(120),
        }
        return evaluators.select_and_settle(exp, val, targets, predictions)

    one, settled = run(score)
    assert one.split.size == len(parts.selecting)
    changed = score.copy()
    changed[parts.selecting] = g.random(len(parts.selecting))
    other, same = run(changed)
    assert same == settled
    assert other.metrics["auroc"].value != one.metrics["auroc"].value
    changed = score.copy()
    changed[parts.settling] = g.random(len(parts.settling))
    again, others = run(changed)
    assert others != settled
    for name, estimate in one.metrics.items():
        np.testing.assert_equal(tuple(again.metrics[name]), tuple(estimate), name)
