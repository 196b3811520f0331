"""From anatomy and zone scores to a picture that looks like a chest film."""

from typing import NamedTuple

import cv2
import numpy as np

from tfds_builders.phantom import anatomy
from tfds_builders.phantom.anatomy import Chest
from tfds_builders.phantom.exposure import expose
from tfds_builders.phantom.opacity import noise, opacity, zone_weights

_SUBPIXEL = 4  # bits after the point in the coordinates given to OpenCV


class Film(NamedTuple):
    """picture: float32 [H, W], 0-1, dense structures bright (MONOCHROME2 sense).
    zones: uint8 [H, W], 1-6 for the zones A-F, 0 outside the visible lungs."""

    picture: np.ndarray
    zones: np.ndarray


class _Frame(NamedTuple):
    """Position of the patient in the image."""

    shape: tuple[int, int]
    matrix: np.ndarray  # [2, 2] frame units to pixels
    origin: np.ndarray  # [2] pixel of the frame's (0, 0)


def draw_film(
    chest: Chest,
    levels,
    rng: np.random.Generator,
    size: int,
    view: str = "PA",
    square: bool = False,
    peripheral: bool = False,
) -> Film:
    """One film of a patient.

    Args:
      levels: six zone scores 0-3, order A..F.
      rng: everything that differs between two films of one patient.
      size: longest side in pixels.
      view: 'AP' enlarges the heart and keeps the shoulder blades over the lungs.
      peripheral: draws the opacities to the chest wall.
    """
    levels = np.asarray(levels)
    if view == "AP":
        chest = chest._replace(heart=chest.heart * 1.12)
    frame = _place(chest, rng, size, square)
    breath, turn = rng.normal(0, 0.035), rng.normal(0, 0.03)
    scale = max(frame.shape) / 512

    lungs = [anatomy.lung(chest, side, breath) for side in (0, 1)]
    air = _fill(frame, lungs, 1.2 * scale)
    centre = _fill(frame, [anatomy.mediastinum(chest, breath, turn)], 1.6 * scale)
    air *= 1 - 0.95 * centre
    zones = _label(frame, chest, breath, air)
    air *= _depth(air)

    coarse = _coarsen(frame, 4)
    weights, wall = _zones(coarse, chest, breath)
    half = tuple(-(-n // 2) for n in frame.shape)
    disease = opacity(rng, levels, weights, half, wall if peripheral else None)
    tree = _vessels(frame, chest, scale)
    # Disease fills the air, and what is filled no longer shows its vessels.
    tree *= -0.42
    tree += 0.66
    air *= tree
    air *= 1 - _enlarge(disease, frame.shape)

    soft, faint = _soft(coarse, chest, breath, centre, rng)
    dense = _enlarge(soft, frame.shape)
    dense -= air
    bones = _bones(frame, chest, breath, view, scale)
    bones *= _enlarge(faint, frame.shape)
    dense += bones
    if rng.random() < 0.12:
        dense += _wires(frame, rng, scale)
    return Film(expose(dense, rng, scale), zones)


def _place(chest: Chest, rng, size: int, square: bool) -> _Frame:
    ratio = 1.0 if square else float(np.clip(rng.normal(0.9, 0.07), 0.75, 1.0))
    short = max(round(size * ratio), 8)
    portrait = rng.random() < 0.25
    height, width = (size, short) if portrait else (short, size)
    half = chest.stature * rng.uniform(0.35, 0.41) * width
    tall = 2 * half * chest.proportion * 0.92
    if tall > 0.76 * height:
        half, tall = half * 0.76 * height / tall, 0.76 * height
    angle = np.deg2rad(rng.normal(0, 2.5))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = turn @ np.diag([half, tall])
    middle = np.array([width * rng.normal(0.5, 0.02), height * rng.normal(0.51, 0.025)])
    origin = middle - matrix @ np.array([0, 0.5])
    return _Frame((height, width), matrix.astype(np.float32), origin.astype(np.float32))


def _pixels(frame: _Frame, points: np.ndarray) -> np.ndarray:
    at = (points @ frame.matrix.T + frame.origin) * (1 << _SUBPIXEL)
    return np.rint(at).astype(np.int32)


def _fill(frame: _Frame, outlines, blur: float) -> np.ndarray:
    """Soft mask [H, W] float32 of the union of some outlines."""
    mask = np.zeros(frame.shape, np.uint8)
    for outline in outlines:
        cv2.fillPoly(mask, [_pixels(frame, outline)], 255, shift=_SUBPIXEL)
    return _soften(mask, blur)


def _soften(mask: np.ndarray, blur: float) -> np.ndarray:
    mask = cv2.GaussianBlur(mask, (0, 0), max(blur, 0.4))
    return mask.astype(np.float32) * np.float32(1 / 255)


def _enlarge(field: np.ndarray, shape) -> np.ndarray:
    field = field.astype(np.float32, copy=False)
    return cv2.resize(field, shape[::-1], interpolation=cv2.INTER_LINEAR)


def _coordinates(frame: _Frame) -> tuple[np.ndarray, np.ndarray]:
    """x and y of the patient's frame at every pixel [H, W]."""
    inverse = np.linalg.inv(frame.matrix).astype(np.float32)
    dx = np.arange(frame.shape[1], dtype=np.float32)[None] + 0.5 - frame.origin[0]
    dy = np.arange(frame.shape[0], dtype=np.float32)[:, None] + 0.5 - frame.origin[1]
    (a, b), (c, d) = inverse
    return a * dx + b * dy, c * dx + d * dy


def _coarsen(frame: _Frame, factor: int) -> _Frame:
    """The same picture on a coarser grid, for everything that is soft."""
    shape = tuple(max(n // factor, 8) for n in frame.shape)
    scale = np.array([shape[1] / frame.shape[1], shape[0] / frame.shape[0]])
    matrix = (scale[:, None] * frame.matrix).astype(np.float32)
    return _Frame(shape, matrix, (scale * frame.origin).astype(np.float32))


def _zones(frame: _Frame, chest: Chest, breath: float):
    """Zone memberships [6, H, W], and the nearness to the chest wall [H, W]."""
    x, y = _coordinates(frame)
    weights = []
    for side, inside in ((0, x < 0), (1, x >= 0)):
        height = y / anatomy.lung_floor(chest, side, breath)
        weights.append(zone_weights(height) * inside)
    wall = np.clip((np.abs(x) - 0.2) / 0.7, 0, 1)
    return np.concatenate(weights).astype(np.float32), wall


def _label(frame: _Frame, chest: Chest, breath: float, air) -> np.ndarray:
    """Which zone each pixel of the visible lungs shows: 1-6, else 0."""
    x, y = _coordinates(_coarsen(frame, 2))
    floors = [anatomy.lung_floor(chest, side, breath) for side in (0, 1)]
    height = y / np.where(x < 0, *floors).astype(np.float32)
    zone = (np.clip(height * 3, 0, 2).astype(np.uint8) + 1) + 3 * (x >= 0)
    size = frame.shape[::-1]
    zone = cv2.resize(zone.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    return zone * (air > 0.5)


def _depth(air: np.ndarray) -> np.ndarray:
    """Lungs are deep in the middle and thin along their border."""
    small = cv2.resize(air, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    inside = (small > 0.5).astype(np.uint8)
    distance = cv2.distanceTransform(inside, cv2.DIST_L2, 3)
    depth = 1 - 0.5 * np.exp(-distance * (14 / max(small.shape)))
    return _enlarge(cv2.GaussianBlur(depth, (0, 0), 1.5), air.shape)


def _soft(frame: _Frame, chest: Chest, breath: float, centre, rng):
    """Soft tissue [H, W], 0 beside the body and about 1 through the trunk,
    and how much of the bones shows through it [H, W]."""
    unit = float(np.linalg.norm(frame.matrix[:, 0]))
    body, *arms = anatomy.trunk(chest)
    soft = np.zeros(frame.shape, np.float32)
    for outlines, thick, reach in (([body], 1.0, 0.2), (arms, 0.62, 0.14)):
        inside = (_fill(frame, outlines, 0.4) > 0.5).astype(np.uint8)
        # The body extends beyond the image.
        padded = cv2.copyMakeBorder(inside, 8, 8, 8, 8, cv2.BORDER_REPLICATE)
        distance = cv2.distanceTransform(padded, cv2.DIST_L2, 3)[8:-8, 8:-8]
        distance = np.minimum(distance, max(frame.shape))  # endless without an edge
        part = thick * (1 - np.exp(-distance / (reach * unit)))
        np.maximum(soft, part, out=soft)
    soft = cv2.GaussianBlur(soft, (0, 0), 1.2)
    heart = cv2.resize(centre, frame.shape[::-1], interpolation=cv2.INTER_AREA)
    heart = cv2.GaussianBlur(heart, (0, 0), 0.08 * unit)
    x, y = _coordinates(frame)
    floor = 1.0 + breath + np.where(x < 0, *chest.domes)
    belly = 1 / (1 + np.exp(np.clip((floor - y) * 14, -30, 30)))
    throat = 1 / (1 + np.exp(np.clip((y + 0.1) * 8, -30, 30)))
    soft *= 1 + 0.22 * belly + 0.08 * throat + 0.16 * heart * (y > 0)
    for side in (0, 1) if chest.breasts else ():
        shadow = _fill(frame, [anatomy.breasts(chest, side)], 1.5)
        soft += 0.15 * chest.breasts * shadow * np.minimum(soft, 1)
    tubes = _fill(frame, anatomy.airway(chest), 1.0)
    soft -= 0.16 * tubes * np.clip(1.2 - y, 0, 1)
    if rng.random() < 0.5:  # gas in the stomach, under the dome on the right
        at = rng.uniform(0.35, 0.6), 1.1 + chest.domes[1] + breath
        gas = ((x - at[0]) / rng.uniform(0.1, 0.22)) ** 2 + ((y - at[1]) / 0.06) ** 2
        soft -= rng.uniform(0.1, 0.35) / (1 + np.exp(np.clip(gas * 6 - 6, -30, 30)))
    soft *= 1 + 0.035 * noise(rng, 5, frame.shape)
    return soft, (1 - 0.6 * belly).astype(np.float32)


def _vessels(frame: _Frame, chest: Chest, scale: float) -> np.ndarray:
    mask = np.zeros(frame.shape, np.uint8)
    stems, twigs, ends = (_pixels(frame, paths) for paths in anatomy.vessels(chest))
    for paths, width, value in (
        (ends, 1.0, 85),
        (twigs, 1.0, 130),
        (stems[:, 4:], 1.3, 150),
        (stems[:, 2:5], 2.2, 170),
        (stems[:, :3], 4.0, 185),
    ):
        pen = max(round(width * scale), 1)
        value *= min(width * scale, 1)  # a line has at least one pixel: make it fainter
        cv2.polylines(mask, list(paths), False, value, pen, cv2.LINE_AA, _SUBPIXEL)
    return _soften(mask, 0.9 * scale)


def _bones(frame: _Frame, chest: Chest, breath, view: str, scale) -> np.ndarray:
    back, front = anatomy.ribs(chest, breath)
    solid, blades = anatomy.shoulders(chest)
    layers = (  # density in 1/255 of the darkest bone's, 0.3
        (back, 90, True),
        (front, 45, True),
        (solid, 125, True),
        (blades, 45 if view == "AP" else 20, False),
        (anatomy.spine(chest), 70, False),
    )
    total = np.zeros(frame.shape, np.uint8)
    mask = np.empty(frame.shape, np.uint8)
    for outlines, density, hollow in layers:
        shapes = [_pixels(frame, outline) for outline in outlines]
        mask[:] = 0
        for shape in shapes:
            inner = density * 0.66 if hollow else density
            cv2.fillPoly(mask, [shape], inner, shift=_SUBPIXEL)
        if hollow:  # the cortex is denser than the marrow
            pen = max(int(scale), 1)
            cv2.polylines(mask, shapes, True, density, pen, cv2.LINE_AA, _SUBPIXEL)
        cv2.add(total, mask, total)
    bones = _soften(total, 0.9 * scale)
    bones *= 0.3 * chest.bone
    return bones


def _wires(frame: _Frame, rng, scale: float) -> np.ndarray:
    """Leads of a monitor and their electrodes, in films of any score."""
    mask = np.zeros(frame.shape, np.uint8)
    pen = max(round(1.5 * scale), 1)
    for _ in range(rng.integers(1, 4)):
        end = np.array([rng.uniform(-0.8, 0.8), rng.uniform(0.05, 0.9)])
        start = np.array([rng.uniform(-1.3, 1.3), rng.choice([-0.4, 1.5])])
        knots = np.linspace(start, end, 4).astype(np.float32)
        knots[1:3] += rng.normal(0, 0.12, (2, 2))
        path = _pixels(frame, anatomy.smooth(knots, 10, closed=False))
        cv2.polylines(mask, [path], False, 170, pen, cv2.LINE_AA, _SUBPIXEL)
        disc, size = tuple(map(int, path[-1])), int(7 * scale) << _SUBPIXEL
        cv2.circle(mask, disc, size, 90, -1, cv2.LINE_AA, _SUBPIXEL)
        cv2.circle(mask, disc, size // 2, 230, -1, cv2.LINE_AA, _SUBPIXEL)
    return 0.5 * _soften(mask, 0.7 * scale)
