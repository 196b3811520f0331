"""Errors against the mean of several readers, beside those of a single reader."""

from functools import partial

import numpy as np

from cxr_jax.stats import bootstrap, weighted
from cxr_jax.stats.estimate import Estimate


def consensus_metrics(
    expected, reader, consensus, patient_ids, resamples: int = 1000, seed: int = 0
) -> dict[str, Estimate]:
    """Mean absolute error of the model and of one reader against the consensus.

    expected, reader: [N, 6] scores of the model and of the reader whose scores are
    the target. consensus: [N, 6] mean scores; rows with NaN have none and are left
    out. patient_ids: [N].
    Returns mae_zone_consensus, mae_global_consensus and the reader's own error under
    the same names with `_reader`; nothing where no image has a consensus. Signoroni
    et al. 2021 give the clinical reader as zone 0.42, global 1.63 on BrixIA.
    """
    known = np.isfinite(consensus).all(axis=1)
    if not known.any():
        return {}
    consensus = np.asarray(consensus, np.float64)[known]
    patients = np.asarray(patient_ids)[known]
    counts = bootstrap.weights(patients, resamples, seed)
    metrics = {}
    for suffix, scores in (("consensus", expected), ("consensus_reader", reader)):
        error = np.asarray(scores, np.float64)[known] - consensus
        for name, values in (("zone", error), ("global", error.sum(axis=1))):
            metrics[f"mae_{name}_{suffix}"] = bootstrap.estimate(
                partial(weighted.mean, np.abs(values)), counts, undefined="no images"
            )
    return metrics
