"""Near-duplicates: time, memory, recall of each alteration and false pairs.

python -m benchmarks.duplicates [--n=21165] [--films=FOLDER]

Scale: draws a synthetic release of --n films (the phantom of covid_radiography, 299 x
299 PNG), each of a different patient except for planted copies. Reading, fingerprints
and pairs are timed, and the pairs compared with the planted ones. No film is repeated
to make up the number; drawing 21,165 films takes about 4 minutes.

Recall: films are altered, and pairs between originals and altered films counted; false
pairs are between different films. Without --films, 600 drawn films of three kinds;
with it, all PNG, JPEG and DICOM files below a folder, of which one of each group of
near-duplicates is taken. Films of one patient then count as false pairs too.

Former: a correlation above 0.99 of 32 x 32 thumbnails, on the same images.
"""

import functools
import pathlib
import resource
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import scipy.stats
from absl import flags

from tfds_builders.common import command, places
from tfds_builders.common.dicom.radiograph import read_dicom
from tfds_builders.common.duplicates.fingerprints import fingerprint
from tfds_builders.common.duplicates.pairs import groups, pairs
from tfds_builders.common.errors import InputError
from tfds_builders.common.images import SUFFIXES, read_picture_8bit
from tfds_builders.phantom import covid_radiography, write_release

_N = flags.DEFINE_integer("n", 2000, "films of the scale test; 0 skips it")
_FILMS = flags.DEFINE_string(
    "films", None, "folder of films to alter; empty: synthetic films"
)
_ALTERED = flags.DEFINE_integer("altered", 600, "synthetic films to alter")

_BLOCK = 2048


def crop_side(pixels, rng):
    return _crop(pixels, 0.05 * np.eye(4)[rng.integers(4)])


def crop_corner(pixels, rng):
    left, top = rng.integers(0, 2, 2)
    return _crop(pixels, 0.05 * np.array([left, 1 - left, top, 1 - top]))


def crop_sides(pixels, rng):
    return _crop(pixels, np.full(4, 0.05))


def _crop(pixels, shares):
    height, width = pixels.shape
    left, right, top, bottom = np.rint(shares * [width, width, height, height])
    return pixels[int(top) : height - int(bottom), int(left) : width - int(right)]


def small(pixels, rng):
    return _resize(pixels, 128 / max(pixels.shape), 1)


def resize(pixels, rng):
    return _resize(
        pixels, rng.uniform(128, 512) / max(pixels.shape), rng.uniform(0.95, 1.05)
    )


def _resize(pixels, scale, aspect):
    height, width = pixels.shape
    size = max(round(width * scale * aspect), 1), max(round(height * scale), 1)
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)


def square(pixels, rng):
    return cv2.resize(pixels, (299, 299), interpolation=cv2.INTER_AREA)


def jpeg(pixels, rng):
    code = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 60])[1]
    return cv2.imdecode(code, cv2.IMREAD_GRAYSCALE)


def light(pixels, rng):
    """Gain and offset, clipped to the range."""
    bright = pixels * rng.uniform(0.7, 1.3) + rng.uniform(-25, 25)
    return np.clip(bright, 0, 255).astype(np.uint8)


def gamma(pixels, rng):
    curve = 255 * (np.arange(256) / 255) ** rng.choice([0.5, 0.7, 1.5, 2])
    return np.rint(curve).astype(np.uint8)[pixels]


def flip(pixels, rng):
    return np.ascontiguousarray(pixels[:, ::-1])


def arrows(pixels, rng):
    """Three white arrows and a line of text."""
    pixels = pixels.copy()
    height, width = pixels.shape
    pen = max(width // 100, 1)
    for _ in range(3):
        tip = rng.uniform(0.1, 0.9, 2)
        tail = tip + rng.uniform(-0.15, 0.15, 2)
        ends = [
            tuple(np.rint(end * [width, height]).astype(int).tolist())
            for end in (tail, tip)
        ]
        cv2.arrowedLine(pixels, *ends, 255, pen, tipLength=0.3)
    at, font = (width // 20, height // 10), cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(
        pixels, "AP PORTABLE 12:31", at, font, width / 500, 255, max(pen // 2, 1)
    )
    return pixels


def rotate(pixels, rng):
    height, width = pixels.shape
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), rng.choice([-1.0, 1.0]), 1)
    return cv2.warpAffine(pixels, turn, (width, height))


def crop_more(pixels, rng):
    return _crop(pixels, np.full(4, 0.08))


ALTERATIONS: dict[str, tuple[Callable, ...]] = {
    "5 % off one side": (crop_side,),
    "5 % off a corner": (crop_corner,),
    "5 % off every side": (crop_sides,),
    "128 pixels": (small,),
    "128-512 pixels, aspect within 5 %": (resize,),
    "stretched to 299 x 299": (square,),
    "JPEG quality 60": (jpeg,),
    "gain 0.7-1.3 and offset": (light,),
    "gamma 0.5-2": (gamma,),
    "flip": (flip,),
    "arrows and text": (arrows,),
    "corner, flip": (crop_corner, flip),
    "corner, 128 pixels": (crop_corner, small),
    "every side, flip": (crop_sides, flip),
    "every side, gain": (crop_sides, light),
    "every side, JPEG": (crop_sides, jpeg),
    "every side, 128 pixels": (crop_sides, small),
    "128 pixels, JPEG": (small, jpeg),
    "gain, flip": (light, flip),
    "corner, gain, flip": (crop_corner, light, flip),
    "corner, resize, gain": (crop_corner, resize, light),
    "every side, gain, 128 pixels": (crop_sides, light, small),
    "every side, gain, JPEG": (crop_sides, light, jpeg),
    "every side, flip, JPEG": (crop_sides, flip, jpeg),
    "128 pixels, gain, JPEG": (small, light, jpeg),
    "every side, arrows (not promised)": (crop_sides, arrows),
    "rotated by 1 degree (not promised)": (rotate,),
    "8 % off every side (not promised)": (crop_more,),
}


def alter(pixels: np.ndarray, name: str, seed: int) -> np.ndarray:
    """Returns the altered uint8 [H, W]; the same seed gives the same image."""
    rng = np.random.default_rng([list(ALTERATIONS).index(name), seed])
    for step in ALTERATIONS[name]:
        pixels = step(pixels, rng)
    return pixels


def thumbnail(pixels: np.ndarray) -> np.ndarray:
    """The former fingerprint, float32 [1024]."""
    whole = pixels.astype(np.float32)
    flat = cv2.resize(whole, (32, 32), interpolation=cv2.INTER_AREA).ravel()
    flat -= flat.mean()
    return flat / max(float(np.linalg.norm(flat)), 1e-3)


def former_pairs(left: np.ndarray, right: np.ndarray | None = None) -> list[tuple]:
    """Returns (left, right) of thumbnails that correlate above 0.99."""
    within, right = right is None, left if right is None else right
    found = []
    for top in range(0, len(left), _BLOCK):
        i, j = np.nonzero(left[top : top + _BLOCK] @ right.T > 0.99)
        found += [
            pair
            for pair in zip(i + top, j, strict=True)
            if pair[0] < pair[1] or not within
        ]
    return found


def scale(n: int, folder: pathlib.Path) -> None:
    """Prints time, memory and pairs of a synthetic release of `n` films."""
    seed = 5
    release = write_release("covid_radiography", folder / "scale", n, seed)
    paths = sorted(release.glob("*/images/*.png"))
    origin = {
        f"{image.kind}-{image.number}": (image.kind, image.copy_of or image.number)
        for image in covid_radiography._plan(n, seed)
    }
    origin = [origin[path.stem] for path in paths]
    members: dict = {}
    for k, one in enumerate(origin):
        members.setdefault(one, []).append(k)
    planted = sum(len(k) * (len(k) - 1) // 2 for k in members.values())
    print(f"\n{n:,} drawn films of 299 x 299 pixels, {planted} pairs of copies")
    print(
        f"{'':8}{'read and prepare':>18}{'pairs':>10}{'peak memory':>14}  found false"
    )
    # The former method first: the peak is that of the process so far.
    for name, prepare, compare in (
        ("former", thumbnail, former_pairs),
        ("ours", fingerprint, pairs),
    ):
        begin = time.perf_counter()
        with ThreadPoolExecutor() as pool:
            prepared = np.stack(
                list(pool.map(functools.partial(_read, prepare), paths))
            )
        middle = time.perf_counter()
        found = compare(prepared)
        end = time.perf_counter()
        right = sum(origin[pair[0]] == origin[pair[1]] for pair in found)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(
            f"{name:8}{middle - begin:16.1f} s{end - middle:8.1f} s{peak:11.2f} GB"
            f"{right:7}{len(found) - right:6}"
        )


def _read(prepare: Callable, path: pathlib.Path) -> np.ndarray:
    return prepare(read_picture_8bit(path))


def recall(films: list[np.ndarray]) -> None:
    """Prints how many altered films are found, and how many false pairs."""
    prints = np.stack([fingerprint(film) for film in films])
    names = [f"{k:06d}" for k in range(len(films))]
    kept = [
        k
        for k, (a, b) in enumerate(zip(names, groups(names, prints), strict=True))
        if a == b
    ]
    prints, thumbnails = prints[kept], np.stack([thumbnail(films[k]) for k in kept])
    print(f"\n{len(kept)} films ({len(films) - len(kept)} near-duplicates left out)")
    print(f"{'':36}{'ours':>8}  95 % interval   false{'former':>10}   false")
    for name, steps in ALTERATIONS.items():
        altered = [alter(films[k], name, seed) for seed, k in enumerate(kept)]
        mirrored = flip in steps
        ours = [
            (pair.left, pair.right, pair.mirrored == mirrored)
            for pair in pairs(prints, np.stack([fingerprint(a) for a in altered]))
        ]
        former = former_pairs(thumbnails, np.stack([thumbnail(a) for a in altered]))
        hits = sum(left == right and way for left, right, way in ours)
        old_hits = sum(left == right for left, right in former)
        interval = scipy.stats.binomtest(hits, len(kept)).proportion_ci(method="wilson")
        print(
            f"{name:36}{hits / len(kept):8.4f}  {interval.low:.4f}-{interval.high:.4f}"
            f"{sum(left != right for left, right, _ in ours):8}"
            f"{old_hits / len(kept):10.4f}{len(former) - old_hits:8}"
        )


def read_films(folder: pathlib.Path) -> list[np.ndarray]:
    """Reads all images below a folder as uint8; masks are left out."""
    paths = [p for p in sorted(folder.rglob("*")) if "masks" not in p.parts]
    films = [read_picture_8bit(p) for p in paths if p.suffix.lower() in SUFFIXES]
    films += [_8bit(read_dicom(p).pixels) for p in paths if p.suffix == ".dcm"]
    if not films:
        raise InputError(
            folder, "no PNG, JPEG or .dcm file below it", "choose another folder"
        )
    return films


def _8bit(pixels):
    return (pixels >> 8).astype(np.uint8)


def draw_films(n: int, folder: pathlib.Path) -> list[np.ndarray]:
    """Draws `n` films of three kinds; brixia has several films of some patients."""
    films = []
    for k, kind in enumerate(("brixia", "covidgr", "covid_radiography")):
        count = n // 3 + (k < n % 3)
        films += read_films(write_release(kind, folder / kind, max(count, 4), seed=6))
    return films


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise InputError("arguments", " ".join(argv[1:]), "use flags only: see --help")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        if _N.value:
            scale(_N.value, folder)
        if _FILMS.value:
            films = read_films(places.expanded(_FILMS.value))
        else:
            films = draw_films(_ALTERED.value, folder)
        recall(films)


if __name__ == "__main__":
    command.run(main)
