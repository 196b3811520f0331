"""What the disease adds: a field of opacities that grows with the zone scores."""

import cv2
import numpy as np

# Per level 0-3, fractions of the air that is replaced:
#   haze       even veil
#   lines      fine network of the interstitium
#   cover      share of the zone that fluffy (alveolar) patches take
#   density    of these patches
_HAZE = np.array([0.0, 0.12, 0.17, 0.42], np.float32)
_LINES = np.array([0.0, 0.40, 0.38, 0.20], np.float32)
_COVER = np.array([0.0, 0.03, 0.36, 0.88], np.float32)
_DENSITY = np.array([0.0, 0.2, 0.55, 0.76], np.float32)


def noise(rng: np.random.Generator, cells: int, shape: tuple[int, int]) -> np.ndarray:
    """Smooth noise [H, W], near unit variance, `cells` bumps across the picture."""
    small = rng.standard_normal((cells + 2, cells + 2), dtype=np.float32)
    small *= 1.45  # what the cubic interpolation takes away
    return cv2.resize(small, shape[::-1], interpolation=cv2.INTER_CUBIC)


def zone_weights(height: np.ndarray, blur: float = 0.025) -> np.ndarray:
    """Soft membership of upper, middle, lower third [3, H, W].

    height: 0 at the apex, 1 at the floor of the lung.
    """
    upper = 1 / (1 + np.exp((height - 1 / 3) / blur))
    lower = 1 / (1 + np.exp((2 / 3 - height) / blur))
    return np.stack([upper, np.clip(1 - upper - lower, 0, 1), lower])


def opacity(
    rng: np.random.Generator,
    levels: np.ndarray,
    weights: np.ndarray,
    shape: tuple[int, int],
    peripheral: np.ndarray | None = None,
) -> np.ndarray:
    """Share of the air that disease replaces [H, W], from 0 to 0.95.

    levels: six scores 0-3 in the order A..F.
    weights: [6, h, w], how much each pixel of a coarse grid belongs to each zone.
    shape: H, W of the answer.
    peripheral: [h, w], 0-1, drives the patches towards high values.
    """
    # Two zones of one score differ, so that brightness alone does not tell it.
    vary = rng.lognormal(0, 0.16, (4, 6)).astype(np.float32)
    vary[2] = vary[2] ** 0.5
    table = np.stack([t[levels] for t in (_HAZE, _LINES, _COVER, _DENSITY)]) * vary
    cells = (13, 25, 48, 78)
    fields = [noise(rng, n, shape) for n in cells]
    if not levels.any():
        return np.zeros(shape, np.float32)
    maps = np.tensordot(table, weights, 1)
    # The share of a standard normal field above the threshold is `cover`: the
    # logistic approximation of its quantile.
    cover = np.clip(maps[2], 0.004, 0.96)
    maps[2] = np.log((1 - cover) / cover) * (1 / 1.7)
    if peripheral is not None:
        maps[2] -= 1.3 * (peripheral - 0.5)
    haze, lines, threshold, density = (
        cv2.resize(m, shape[::-1], interpolation=cv2.INTER_LINEAR) for m in maps
    )
    coarse, middle, fine, net = fields
    fluffy = 0.78 * coarse + 0.5 * middle
    fluffy += 0.22 * fine
    threshold -= fluffy
    threshold *= 4.0
    # Patches are not flat: they are densest where the field is highest.
    patches = density * (1 + 0.12 * middle) / (1 + cv2.exp(threshold))
    mesh = np.clip(1 - 1.9 * np.abs(net), 0, 1)
    mesh += 0.7 * np.clip(1 - 2.2 * np.abs(fine), 0, 1)
    mesh *= np.clip(0.75 + 0.4 * middle, 0.1, 1.5)
    veil = haze * (1 + 0.25 * coarse) + 0.75 * lines * mesh
    clear = (1 - np.clip(veil, 0, 0.9)) * (1 - np.clip(patches, 0, 0.92))
    return np.clip(1 - clear, 0, 0.95)
