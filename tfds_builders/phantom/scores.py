"""Zone scores with the distribution of the real release."""

import numpy as np

# Images per level 0-3 of each zone in BrixIA's metadata_global_v2.csv.
ZONE_COUNTS = np.array(
    [
        (2119, 1517, 718, 341),
        (936, 1237, 1524, 998),
        (524, 1050, 1740, 1381),
        (2572, 1381, 542, 200),
        (998, 1204, 1499, 994),
        (549, 1007, 1627, 1512),
    ]
)
# Shares of the variance of a zone's latent severity. The patient's and the day's
# part are common to all zones; with them the global score gets the real SD, 4.2.
_PATIENT, _DAY, _PLACE = 0.40, 0.12, 0.32


def draw_patient(rng: np.random.Generator) -> np.ndarray:
    """Latent severity of a patient: one number and one per zone [7]."""
    return rng.standard_normal(7)


def draw_scores(patient: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Six zone scores 0-3 (A..F) of one film; two films of a patient are alike.

    A Gaussian copula: every zone's histogram is that of the real release.
    """
    common = np.sqrt(_PATIENT) * patient[0] + np.sqrt(_DAY) * rng.standard_normal()
    place = np.sqrt(_PLACE) * patient[1:]
    rest = np.sqrt(1 - _PATIENT - _DAY - _PLACE) * rng.standard_normal(6)
    share = _normal_cdf(common + place + rest)
    below = np.cumsum(ZONE_COUNTS, 1)[:, :3] / ZONE_COUNTS.sum(1, keepdims=True)
    return (share[:, None] >= below).sum(1)


def _normal_cdf(z: np.ndarray) -> np.ndarray:
    """Logistic approximation, off by less than 0.01 (Bowling et al. 2009)."""
    return 1 / (1 + np.exp(-(1.5976 * z + 0.07056 * z**3)))


def read_again(scores: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Scores that another reader gives the same film: one in four is a level off."""
    step = rng.choice([-1, 0, 1], 6, p=[0.125, 0.75, 0.125])
    return np.clip(scores + step, 0, 3)
