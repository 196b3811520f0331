"""The shapes of a chest in the patient's own frame, before they are drawn.

The frame: x = -1 and +1 are the outer walls of the two lungs (-1 on the left side
of the picture, the patient's right), y = 0 is the apex of the lungs and y = 1 the
level of the diaphragm. Every function returns points [n, 2] (or a list of such
outlines) in this frame; `film.py` turns, shifts and draws them.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

# Control points of one half, x > 0; the other half is its mirror image.
_LUNG = np.array(
    [(0.33, 0.0), (0.56, 0.05), (0.75, 0.2), (0.88, 0.42), (0.96, 0.68), (1.0, 0.92)]
    + [(0.99, 1.1), (0.9, 1.07), (0.72, 1.0), (0.5, 0.97), (0.28, 1.0), (0.12, 1.06)]
    + [(0.06, 0.9), (0.06, 0.55), (0.07, 0.25), (0.16, 0.06)],
    np.float32,
)
_DOME = slice(6, 12)  # the points of the lung's lower border
_MEDIASTINUM = np.array(
    [(-0.12, -0.2), (-0.13, 0.05), (-0.15, 0.25), (-0.17, 0.42), (-0.2, 0.55)]
    + [(-0.27, 0.7), (-0.28, 0.86), (-0.22, 1.02), (0.0, 1.2), (0.35, 1.18)]
    + [(0.55, 1.05), (0.58, 0.94), (0.5, 0.8), (0.38, 0.66), (0.27, 0.54)]
    + [(0.19, 0.45), (0.16, 0.38), (0.21, 0.31), (0.19, 0.23), (0.12, 0.16)]
    + [(0.11, 0.02), (0.11, -0.2)],
    np.float32,
)
_HEART = slice(5, 15)
_AORTA = slice(16, 20)
_TRUNK = np.array(
    [(0.0, -0.9), (0.26, -0.6), (0.28, -0.36), (0.42, -0.24), (0.8, -0.16)]
    + [(1.15, -0.08), (1.32, 0.08), (1.28, 0.36), (1.17, 0.52), (1.13, 0.7)]
    + [(1.14, 0.95), (1.17, 1.3), (1.15, 1.9), (0.0, 2.0)],
    np.float32,
)
_ARM = np.array(
    [(1.05, -0.1), (1.3, -0.04), (1.52, 0.2), (1.62, 0.6), (1.78, 1.3), (1.85, 1.9)]
    + [(1.5, 1.9), (1.42, 1.3), (1.3, 0.7), (1.18, 0.4)],
    np.float32,
)


class Chest(NamedTuple):
    """What stays the same in every film of one patient (frame units)."""

    proportion: float  # lung height over thorax width
    stature: float  # thorax width, relative to the adult mean
    wall: float  # thickness of the chest wall
    heart: float  # size of the heart relative to the mean
    aorta: float  # the same for the aortic knob
    breasts: float  # 0 none ... 1 large
    domes: tuple[float, float]  # height of the diaphragm, left and right in picture
    lungs: np.ndarray  # [2, 16, 2] displacement of the lung outlines
    scoliosis: float
    pitch: float  # distance of two ribs
    slope: float  # how steeply the ribs fall
    rib_width: float
    clavicle: float  # height of the outer end
    bone: float  # density of bone
    vessels: int  # seeds the vessel tree
    child: bool


def draw_chest(rng: np.random.Generator, child: bool = False) -> Chest:
    """A patient's anatomy; `child` gives a small, round thorax with flat ribs."""
    sex_like = rng.random()  # not the recorded sex, which nothing may reveal
    return Chest(
        proportion=rng.uniform(0.78, 0.92) if child else rng.uniform(0.82, 1.08),
        stature=rng.uniform(0.72, 0.84) if child else rng.uniform(0.9, 1.08),
        wall=rng.gamma(4.0, 0.015) * (0.6 if child else 1.0),
        heart=rng.normal(1.12 if child else 1.0, 0.1),
        aorta=0.4 if child else rng.normal(1.0, 0.35),
        breasts=0.0 if child or sex_like < 0.5 else rng.uniform(0.2, 1.0),
        domes=(rng.normal(-0.02, 0.03), rng.normal(0.02, 0.03)),
        lungs=rng.normal(0, 0.012, (2, len(_LUNG), 2)).astype(np.float32),
        scoliosis=rng.normal(0, 0.025),
        pitch=rng.normal(0.112, 0.006),
        slope=rng.normal(0.08, 0.05) if child else rng.normal(0.2, 0.07),
        rib_width=rng.normal(0.042, 0.004),
        clavicle=rng.normal(-0.02, 0.05),
        bone=rng.normal(1.2 if child else 1.0, 0.15),
        vessels=int(rng.integers(2**31)),
        child=child,
    )


@lru_cache
def _spline_matrix(points: int, steps: int, closed: bool) -> np.ndarray:
    """[samples, points] that turns control points into a Catmull-Rom curve."""
    segments = points if closed else points - 1
    t = np.arange(segments * steps + (not closed)) / steps
    i = np.minimum(t.astype(int), segments - 1)
    t = t - i
    weights = 0.5 * np.stack(
        [
            -t + 2 * t**2 - t**3,
            2 - 5 * t**2 + 3 * t**3,
            t + 4 * t**2 - 3 * t**3,
            t**3 - t**2,
        ]
    )
    matrix = np.zeros((len(t), points), np.float32)
    for k, w in enumerate(weights):
        j = i + k - 1
        j = j % points if closed else np.clip(j, 0, points - 1)
        np.add.at(matrix, (np.arange(len(t)), j), w)
    return matrix


def smooth(points: np.ndarray, steps: int = 6, closed: bool = True) -> np.ndarray:
    """The curve through `points` [..., n, 2] (Catmull-Rom spline)."""
    return _spline_matrix(points.shape[-2], steps, closed) @ points


def mirror(points: np.ndarray) -> np.ndarray:
    return points * np.array([-1, 1], np.float32)


def lung(chest: Chest, side: int, breath: float) -> np.ndarray:
    """Outline of one lung; side 0 is on the left of the picture."""
    points = _LUNG + chest.lungs[side]
    points[_DOME, 1] += chest.domes[side] + breath
    return smooth(points if side else mirror(points))


def lung_floor(chest: Chest, side: int, breath: float) -> float:
    """Lower end of the lung's height, which the zones divide into thirds."""
    return 1.03 + chest.domes[side] + breath


def mediastinum(chest: Chest, breath: float, turn: float) -> np.ndarray:
    """Heart, great vessels and the soft tissue between the lungs.

    turn: rotation of the patient about the long axis; shifts the heart sideways.
    """
    points = _MEDIASTINUM.copy()
    points[_HEART, 0] = (points[_HEART, 0] - 0.12) * chest.heart + 0.12
    points[_HEART, 1] += 0.5 * breath
    points[_AORTA, 0] = 0.13 + (points[_AORTA, 0] - 0.13) * chest.aorta
    points[:, 0] += turn * np.clip(points[:, 1] + 0.2, 0, 1)
    points[:, 0] += _bend(chest, points[:, 1])
    return smooth(points)


def _bend(chest: Chest, y):
    return chest.scoliosis * np.sin(2.2 * np.pi * np.asarray(y))


def trunk(chest: Chest) -> list[np.ndarray]:
    """Outlines of the body and of both arms, arms last."""
    half = _TRUNK.copy()
    half[4:-1, 0] += chest.wall
    body = smooth(np.concatenate([half, mirror(half)[-2:0:-1]]))
    arm = _ARM + np.array([chest.wall, 0], np.float32)
    return [body, smooth(arm), smooth(mirror(arm))]


def ribs(chest: Chest, breath: float) -> tuple[np.ndarray, np.ndarray]:
    """Outlines of the posterior and of the anterior ribs, as bands [n, 28, 2]."""
    t = np.linspace(0, 1, 14, dtype=np.float32)
    k = np.arange(10, dtype=np.float32)[:, None]
    y = 0.005 + chest.pitch * k * (1 + 0.3 * breath)
    outer = np.interp(y + 0.12, _LUNG[:6, 1], _LUNG[:6, 0]) + 0.012
    fall = chest.slope * (0.3 + 0.09 * k)
    # Leaves the spine, arches upwards, then falls along the chest wall.
    x = 0.1 + (outer - 0.1) * np.sin(t * np.pi / 2) ** 0.9
    rise = 0.09 * np.sin(np.pi * np.minimum(t * 1.3, 1))
    centre = np.stack([x, y - rise + fall * t + 0.16 * t**4], -1)
    back = _band(centre, chest.rib_width * (0.75 + 0.25 * t))
    # Turns round at the wall and comes back, steeper, towards the breast bone.
    k, y, outer, fall = k[1:7], y[1:7], outer[1:7], fall[1:7]
    x = outer - (outer - 0.3 - 0.03 * k) * t
    centre = np.stack([x, y + fall + 0.16 + (0.2 + 0.4 * chest.slope) * t**1.2], -1)
    front = _band(centre, chest.rib_width * (0.9 + 0.35 * t))
    both = [np.concatenate([bands, mirror(bands)]) for bands in (back, front)]
    return both[0], both[1]


def _band(centre: np.ndarray, width: np.ndarray) -> np.ndarray:
    """The outlines [..., 2n, 2] of stripes around the curves `centre` [..., n, 2]."""
    along = np.empty_like(centre)
    along[..., 1:-1, :] = centre[..., 2:, :] - centre[..., :-2, :]
    along[..., 0, :] = centre[..., 1, :] - centre[..., 0, :]
    along[..., -1, :] = centre[..., -1, :] - centre[..., -2, :]
    normal = np.stack([-along[..., 1], along[..., 0]], -1)
    length = np.sqrt((along**2).sum(-1, keepdims=True)) + 1e-6
    normal *= (width / 2)[..., None] / length
    return np.concatenate([centre + normal, (centre - normal)[..., ::-1, :]], -2)


def shoulders(chest: Chest) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Outlines of (clavicles and humeri), and of the fainter scapulae."""
    rise = chest.clavicle
    centre = [(0.1, 0.13), (0.3, 0.11), (0.6, 0.03 + rise), (0.9, -0.03 + 1.3 * rise)]
    centre = smooth(np.array([*centre, (1.12, -0.03 + rise)], np.float32), 5, False)
    width = 0.05 + 0.02 * np.abs(np.linspace(-1, 1, len(centre), dtype=np.float32))
    clavicle = _band(centre, width)
    wall = chest.wall
    arm = [(1.2 + wall, 0.06), (1.36 + wall, 0.3), (1.5 + wall, 0.8)]
    arm = smooth(np.array([*arm, (1.62 + wall, 1.4)], np.float32), 5, False)
    thick = np.linspace(0.2, 0.11, len(arm), dtype=np.float32)
    humerus = _band(arm, thick)
    blade = [(1.12, 0.0), (1.2, 0.12), (1.08, 0.42), (0.98, 0.62), (0.88, 0.45)]
    blade = smooth(np.array([*blade, (0.86, 0.16)], np.float32))
    solid = [clavicle, humerus, mirror(clavicle), mirror(humerus)]
    return solid, [blade, mirror(blade)]


def spine(chest: Chest) -> list[np.ndarray]:
    """Outlines of the vertebral bodies."""
    edge = np.array([(-1, -1), (-0.85, 0), (-1, 1), (1, 1), (0.85, 0), (1, -1)])
    bodies = []
    for k in range(-4, 14):
        y = 0.03 + 0.105 * k
        half = 0.075 + 0.0025 * k, 0.043
        bodies.append((edge * half + (_bend(chest, y), y)).astype(np.float32))
    return bodies


def airway(chest: Chest) -> list[np.ndarray]:
    """Outlines of the trachea and the main bronchi."""
    y = np.linspace(-0.6, 0.36, 8, dtype=np.float32)
    x = (_bend(chest, y) - 0.015).astype(np.float32)
    trachea = _band(np.stack([x, y], -1), np.full(8, 0.105, np.float32))
    fork = np.array([x[-1], 0.34], np.float32)
    t = np.linspace(0, 1, 5, dtype=np.float32)[:, None]
    tubes = [
        _band(fork + t * np.array(end, np.float32), np.full(5, 0.06, np.float32))
        for end in [(-0.2, 0.15), (0.24, 0.18)]
    ]
    return [trachea, *tubes]


def vessels(chest: Chest) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Paths of the lung vessels in three calibres, each [n, 9, 2], widest first.

    They belong to the patient, so a second film of the patient shows the same tree.
    """
    rng = np.random.default_rng(chest.vessels)
    flip = np.repeat([[[-1, 1]], [[1, 1]]], 12, 0)
    angle = np.tile(np.linspace(-1.3, 1.4, 12), 2) + rng.normal(0, 0.06, 24)
    root = np.stack([rng.normal(0.18, 0.03, 24), rng.normal(0.46, 0.03, 24)], -1)
    stems, stem_angle = _paths(rng, root, angle, 0.6)
    twigs, twig_angle = _branches(rng, stems, stem_angle, 5, 0.34)
    ends, _ = _branches(rng, twigs, twig_angle, 2, 0.2)
    calibres = (stems, twigs, ends)
    return tuple(
        (paths * np.repeat(flip, len(paths) // 24, 0)).astype(np.float32)
        for paths in calibres
    )


def _branches(rng, paths, heading, each: int, length: float):
    """`each` side branches of every path."""
    n = len(paths) * each
    which = np.repeat(np.arange(len(paths)), each)
    at = rng.integers(2, 8, n)
    sign = rng.choice([-1, 1], n)
    angle = heading[which, at] + sign * rng.uniform(0.3, 0.85, n)
    return _paths(rng, paths[which, at], angle, length)


def _paths(rng, start, angle, length):
    """Winding paths [n, 9, 2] from `start` [n, 2], and their headings [n, 8]."""
    n = len(angle)
    heading = angle[:, None] + np.cumsum(rng.normal(0, 0.11, (n, 8)), 1)
    step = (length / 8) * rng.uniform(0.6, 1.2, (n, 1))
    move = np.stack([np.cos(heading) * step, np.sin(heading) * step], -1)
    path = np.concatenate([np.zeros((n, 1, 2)), np.cumsum(move, 1)], 1)
    return path + start[:, None], heading


def breasts(chest: Chest, side: int) -> np.ndarray:
    """Outline of one breast shadow."""
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False, dtype=np.float32)
    size = 0.3 + 0.22 * chest.breasts
    outline = np.stack([np.cos(angle) * size * 0.95, np.sin(angle) * size * 0.7], -1)
    outline += np.array([0.62, 0.86 + 0.2 * chest.breasts], np.float32)
    return outline.astype(np.float32) if side else mirror(outline).astype(np.float32)
