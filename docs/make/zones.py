"""Draws docs/zones.svg: python docs/make/zones.py. The film in it is synthetic."""

import base64
from pathlib import Path

import cv2
import numpy as np

from tfds_builders.common.zones import ZONES
from tfds_builders.phantom.anatomy import draw_chest
from tfds_builders.phantom.film import draw_film

SEED, SIZE = 11, 460
LEVELS = (
    ("0", "no opacity"),
    ("1", "interstitial"),
    ("2", "mostly interstitial, some alveolar"),
    ("3", "mostly alveolar (consolidation)"),
)
COLOURS = ("#4fc3f7", "#81c784", "#ffb74d")  # upper, middle, lower


def draw(levels):
    """The same patient and film with other scores."""
    chest = draw_chest(np.random.default_rng([SEED, 0]))._replace(scoliosis=0.0)
    return draw_film(chest, levels, np.random.default_rng([SEED, 1]), SIZE, square=True)


def jpeg(picture) -> str:
    pixels = np.rint(cv2.GaussianBlur(picture, (0, 0), 0.5) * 255).astype(np.uint8)
    data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 72])[1].tobytes()
    return "data:image/jpeg;base64," + base64.b64encode(data).decode()


def outline(mask) -> str:
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    largest = max(contours, key=cv2.contourArea)
    points = cv2.approxPolyDP(largest, 1.6, True)[:, 0]
    return " ".join(f"{x},{y}" for x, y in points)


def main() -> None:
    film = draw([0] * 6)
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 860 540"',
        ' font-family="Helvetica, Arial, sans-serif" fill="#1c2733">',
        "<title>The six zones A-F and the four levels 0-3 (synthetic film)</title>",
        '<rect width="860" height="540" fill="#ffffff"/>',
        '<g transform="translate(20,46)">',
        f'<image width="{SIZE}" height="{SIZE}" href="{jpeg(film.picture)}"/>',
    ]
    for k, name in enumerate(ZONES):
        mask = (film.zones == k + 1).astype(np.uint8)
        parts.append(
            f'<polygon points="{outline(mask)}" fill="{COLOURS[k % 3]}" '
            f'fill-opacity="0.22" stroke="{COLOURS[k % 3]}" stroke-width="2"/>'
        )
        # The letter goes to the point deepest inside the zone.
        inside = cv2.distanceTransform(mask, cv2.DIST_L2, 5)
        y, x = np.unravel_index(inside.argmax(), inside.shape)
        parts.append(
            f'<text x="{x}" y="{y + 12}" font-size="34" font-weight="700" '
            f'text-anchor="middle" fill="#ffffff">{name}</text>'
        )
    parts.append("</g>")
    heading = 'font-size="15" font-weight="700"'
    parts += [
        f'<text x="20" y="32" {heading}>patient\'s right</text>',
        f'<text x="480" y="32" {heading} text-anchor="end">patient\'s left</text>',
        f'<text x="510" y="32" {heading}>score of a zone</text>',
        '<text x="20" y="528" font-size="12" fill="#5b6b7a">',
        "Synthetic film (tfds_builders.phantom), not a patient.</text>",
    ]
    rows, cols = np.nonzero(film.zones == 2)
    side = 150
    top = int(np.clip(rows.mean() - side / 2, 0, SIZE - side))
    left = int(np.clip(cols.mean() - side / 2, 0, SIZE - side))
    for k, (level, words) in enumerate(LEVELS):
        crop = draw([int(level)] * 6).picture[top : top + side, left : left + side]
        y = 46 + k * 116
        parts += [
            f'<image x="510" y="{y}" width="108" height="108" href="{jpeg(crop)}"/>',
            f'<text x="634" y="{y + 42}" font-size="34" font-weight="700">{level}</text>',
            f'<text x="634" y="{y + 68}" font-size="14">{words}</text>',
        ]
    parts.append("</svg>")
    path = Path(__file__).parents[1] / "zones.svg"
    path.write_text("\n".join(parts) + "\n")


if __name__ == "__main__":
    main()
