"""The mean loss of a split."""

import numpy as np

from cxr_jax.stats import bootstrap, weighted
from cxr_jax.stats.estimate import Estimate


def mean_loss(losses, patient_ids, resamples: int = 1000, seed: int = 0) -> Estimate:
    """Mean of per-image losses [N] with its patient-clustered interval."""
    losses = np.asarray(losses, np.float64)
    return bootstrap.estimate(
        lambda weights: weighted.mean(losses, weights),
        bootstrap.weights(patient_ids, resamples, seed),
        undefined="a loss is not finite",
    )
