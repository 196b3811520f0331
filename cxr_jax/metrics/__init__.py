"""Metrics of a whole split: numpy arrays in, {name: Estimate} out."""

from cxr_jax.bootstrap import Estimate
from cxr_jax.metrics.classification import (
    choose_thresholds,
    class_frequencies,
    classify_metrics,
    confusion_matrix,
    decide,
    majority_metrics,
)
from cxr_jax.metrics.consensus import consensus_metrics
from cxr_jax.metrics.loss import mean_loss
from cxr_jax.metrics.severity import (
    brixia_metrics,
    constant_median,
    constant_median_metrics,
    rounded,
)

__all__ = [
    "Estimate",
    "brixia_metrics",
    "choose_thresholds",
    "class_frequencies",
    "classify_metrics",
    "confusion_matrix",
    "consensus_metrics",
    "constant_median",
    "constant_median_metrics",
    "decide",
    "majority_metrics",
    "mean_loss",
    "rounded",
]
