"""Metrics of a whole split: numpy arrays in, {name: Estimate} out."""

from cxr_jax.metrics.brixia import (
    agreement_metrics,
    brixia_metrics,
    brixia_statistics,
    consensus_metrics,
    constant_median,
    constant_median_metrics,
    rounded,
    second_reader_metrics,
)
from cxr_jax.metrics.classification import (
    choose_thresholds,
    class_frequencies,
    class_statistics,
    classify_metrics,
    confusion_matrix,
    majority_metrics,
    without_threshold,
)
from cxr_jax.metrics.confidence import (
    confidence_metrics,
    fit_confidence,
    fit_interval,
    interval_metrics,
    mean_loss,
)
from cxr_jax.metrics.operating_points import (
    classes_agreement,
    operating_metrics,
    sensitive_thresholds,
)
from cxr_jax.metrics.registry import HEADLINES, METRICS, Metric, metric
from cxr_jax.metrics.segmentation import (
    alignment_metrics,
    majority_mask,
    majority_mask_metrics,
    overlap_metrics,
    per_image_overlap,
    pixel_confusion,
)
from cxr_jax.stats.calling import decide
from cxr_jax.stats.delong import auroc as delong_auroc
from cxr_jax.stats.estimate import Estimate

__all__ = [
    "HEADLINES",
    "METRICS",
    "Estimate",
    "Metric",
    "agreement_metrics",
    "alignment_metrics",
    "brixia_metrics",
    "brixia_statistics",
    "choose_thresholds",
    "class_frequencies",
    "class_statistics",
    "classes_agreement",
    "classify_metrics",
    "confidence_metrics",
    "confusion_matrix",
    "consensus_metrics",
    "constant_median",
    "constant_median_metrics",
    "decide",
    "delong_auroc",
    "fit_confidence",
    "fit_interval",
    "interval_metrics",
    "majority_mask",
    "majority_mask_metrics",
    "majority_metrics",
    "mean_loss",
    "metric",
    "operating_metrics",
    "overlap_metrics",
    "per_image_overlap",
    "pixel_confusion",
    "rounded",
    "second_reader_metrics",
    "sensitive_thresholds",
    "without_threshold",
]
