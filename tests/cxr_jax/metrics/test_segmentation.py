"""Overlap against scikit-learn on the masks themselves, which we never see."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from sklearn.metrics import confusion_matrix, f1_score, jaccard_score

from cxr_jax import metrics
from cxr_jax.ops import frame
from cxr_jax.rng import generator
from cxr_jax.stats import bootstrap
from tfds_builders.common.errors import InputError


@pytest.fixture
def masks():
    draw = generator(0, "masks")
    target = draw.uniform(size=(12, 9, 7)) < draw.uniform(0.1, 0.7, (12, 1, 1))
    return target ^ (draw.uniform(size=target.shape) < 0.2), target


def counts(called, target):
    return (called & target).sum((1, 2)), called.sum((1, 2)), target.sum((1, 2))


WEIGHTS = bootstrap.weights([f"p{i // 2}" for i in range(12)], 200)


def test_the_figures_are_scikit_learns(masks):
    called, target = masks
    found = metrics.overlap_metrics(*counts(*masks), WEIGHTS)
    pairs = [(t.ravel(), c.ravel()) for t, c in zip(target, called, strict=True)]
    for name, theirs in (("dice", f1_score), ("iou", jaccard_score)):
        each = [theirs(*pair) for pair in pairs]
        assert found[name].value == pytest.approx(np.mean(each))
        pooled = theirs(target.ravel(), called.ravel())
        assert found[f"{name}_pooled"].value == pytest.approx(pooled)
        for estimate in (found[name], found[f"{name}_pooled"]):
            assert estimate.lo < estimate.value < estimate.hi
            assert estimate.n == 12
    pixels = np.full(12, target[0].size)
    cells = metrics.pixel_confusion(*counts(*masks), pixels)["target_by_called"]
    np.testing.assert_array_equal(
        cells, confusion_matrix(target.ravel(), called.ravel())
    )


def test_intervals_are_wider_when_images_of_a_patient_are_alike():
    common = np.repeat([40, 90, 60, 20, 50], 5)
    size = np.full(25, 100)
    alone, together = (
        metrics.overlap_metrics(common, size, size, bootstrap.weights(ids, 1000))[
            "dice"
        ]
        for ids in (np.arange(25), np.repeat(np.arange(5), 5))
    )
    assert alone.value == together.value == pytest.approx(common.mean() / 100)
    assert together.hi - together.lo > 1.5 * (alone.hi - alone.lo)


def test_two_empty_masks_agree_and_one_empty_mask_does_not():
    found = metrics.per_image_overlap(*np.array([[0, 0], [0, 5], [0, 0]]))
    assert found["dice"].tolist() == found["iou"].tolist() == [1.0, 0.0]
    empty = metrics.overlap_metrics([0, 0], [0, 0], [0, 0], WEIGHTS[:, :2])
    assert np.isnan(empty["dice_pooled"].value)
    assert "empty" in empty["dice_pooled"].reason


def test_more_common_than_there_are_is_refused():
    with pytest.raises(ValueError, match="common than are target"):
        metrics.overlap_metrics([5], [6], [4], WEIGHTS[:, :1])


def test_the_constant_predictor_is_what_most_masks_have(masks):
    _, target = masks
    mask = metrics.majority_mask(target)
    np.testing.assert_array_equal(mask, np.median(target + 1e-9, axis=0) >= 0.5)
    found = metrics.majority_mask_metrics(target, mask, WEIGHTS)
    each = [f1_score(t.ravel(), mask.ravel()) for t in target]
    assert found["dice_constant"].value == pytest.approx(np.mean(each))


def test_errors_of_frames_are_percent_of_a_side_and_degrees():
    angles = np.array([3.0, -10.0, 0.0])
    turned = Rotation.from_euler("z", angles[:, None], degrees=True).as_matrix()[
        :, :2, :2
    ]
    frames = np.concatenate([turned, np.zeros((3, 2, 1))], axis=2).astype(np.float32)
    shifted = np.stack([frame.IDENTITY] * 3)
    shifted[:, 0, 2] = [0.1, 0.0, -0.3]  # of -1 .. 1: half of that in sides
    turn = np.asarray(frame.rotation(frames)) - np.asarray(frame.rotation(shifted))
    corner = np.asarray(frame.corner_distance(shifted, np.stack([frame.IDENTITY] * 3)))
    found = metrics.alignment_metrics(corner, turn + 360, WEIGHTS[:, :3])
    assert found["mae_corner"].value == pytest.approx(100 * (0.05 + 0.15) / 3, rel=1e-3)
    assert found["mae_rotation"].value == pytest.approx(13 / 3, rel=1e-4)
    with pytest.raises(InputError, match="not finite"):
        metrics.alignment_metrics([np.nan], [0.0], WEIGHTS[:, :1])
