"""Pictures as collections from the web hold them: renamed, recompressed, tinted."""

import hashlib

import cv2
import numpy as np

# Of the file names; the first of them are those that most pictures have.
ENDINGS = ("jpg", "png", "jpg", "png", "jpg", "jpeg", "jpg", "JPG", "jpeg", "PNG")


def file_name(kind: str, seed: int, index: int, day: int) -> str:
    """A name in one of the styles of publishers and web sites, without its ending."""
    digest = hashlib.sha256(f"{kind} phantom {seed} {index}".encode()).hexdigest()
    styles = (
        f"covid-19-pneumonia-{index}-day{day}",
        f"{16000 + index}_1_1",
        f"1-s2.0-S{digest[:8]}{index:06d}-gr2_lrg-a",
        f"41591_2020_{index}_Fig1_HTML.webp-day{day}",
        f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{index:012d}".upper(),
        f"immagine {index}",
    )
    return styles[index % len(styles)]


def encoded(pixels: np.ndarray, ending: str) -> bytes:
    """PNG or JPEG bytes, by the ending; grey [H, W] or colour [H, W, 3], uint8."""
    if ending.lower() == "png":
        return cv2.imencode(".png", pixels)[1].tobytes()
    quality = [cv2.IMWRITE_JPEG_QUALITY, 90]
    return cv2.imencode(".jpg", pixels, quality)[1].tobytes()


def tinted(pixels: np.ndarray) -> np.ndarray:
    """The photograph of a film on a bluish light box [H, W, 3], blue first."""
    tint = np.array([1.0, 0.85, 0.7])
    return np.rint(pixels[..., None] * tint).astype(np.uint8)


def copied(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The picture as another page shows it: smaller, recompressed, brighter."""
    scale = rng.uniform(0.75, 0.95)
    small = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(60, 90))]
    small = cv2.imdecode(cv2.imencode(".jpg", small, quality)[1], 0)
    brighter = small * rng.uniform(0.9, 1.05) + rng.uniform(-8, 8)
    return np.clip(np.rint(brighter), 0, 255).astype(np.uint8)


def deep(pixels: np.ndarray) -> bytes:
    """A PNG of 16 bits, in colour and with an opaque alpha channel, of grey [H, W]."""
    grey = pixels.astype(np.uint16) * 257
    opaque = np.full_like(grey, 65535)
    return cv2.imencode(".png", cv2.merge([grey, grey, grey, opaque]))[1].tobytes()


def nearly_opaque(pixels: np.ndarray) -> bytes:
    """A PNG whose alpha channel is opaque but for four pixels, of grey [H, W]."""
    opacity = np.full_like(pixels, 255)
    opacity[1:3, 1:3] = (254, 128), (1, 0)
    return cv2.imencode(".png", cv2.merge([pixels] * 3 + [opacity]))[1].tobytes()


def smooth(mask: np.ndarray) -> np.ndarray:
    """A mask of 0 and 255 [H, W] with grey edges, as one that was drawn or resized."""
    return cv2.GaussianBlur(mask, (5, 5), 1.2)
