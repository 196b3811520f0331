"""Near-duplicate pictures: copies that were resized, re-encoded or brightened.

Public collections copy from each other, and a copy on the other side of the split is
an exam question seen before. Two pictures are taken for copies where the correlation
of their 32 x 32 thumbnails is above 0.99; crops and rotations are not found.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

_SIDE = 32
_THRESHOLD = 0.99
_BLOCK = 2048


def thumbnail(pixels: np.ndarray) -> np.ndarray:
    """float32 [1024], zero mean, unit length: a dot product is a correlation.

    A picture of one value has no correlation with anything: it gives zeros.
    """
    small = cv2.resize(
        pixels.astype(np.float32), (_SIDE, _SIDE), interpolation=cv2.INTER_AREA
    ).ravel()
    small -= small.mean(dtype=np.float64)
    length = float(np.linalg.norm(small))
    return small / length if length > 1e-3 else np.zeros_like(small)


def groups(names: Sequence[str], thumbnails: np.ndarray) -> list[str]:
    """The group of each picture, named after its smallest member.

    Groups are closed under "is a copy of": a ~ b and b ~ c puts all three together.

    Args:
      names: N different names.
      thumbnails: [N, 1024] from `thumbnail`, in the same order.
    """
    count = len(names)
    left_ends, right_ends = [], []
    # Blocks of the upper triangle: all N^2 correlations of 21,000 pictures at once
    # would take 1.8 GB.
    for top in range(0, count, _BLOCK):
        for left in range(top, count, _BLOCK):
            block = thumbnails[top : top + _BLOCK] @ thumbnails[left : left + _BLOCK].T
            i, j = np.nonzero(block > _THRESHOLD)
            left_ends.append(top + i)
            right_ends.append(left + j)
    ends = (np.concatenate(left_ends), np.concatenate(right_ends))
    graph = coo_array((np.ones(len(ends[0]), bool), ends), shape=(count, count))
    labels = connected_components(graph, directed=False)[1]
    smallest: dict[int, str] = {}
    for name, label in zip(names, labels, strict=True):
        smallest[label] = min(name, smallest.get(label, name))
    return [smallest[label] for label in labels]
