"""Reading a release: images per second and memory, beside a naive loop.

    python -m benchmarks.ingest [--films=16] [--repeats=3]

Every pipeline takes the same files to PNG bytes of at most 512 pixels on the longer
side. They run one after the other, each in a fresh process that also reports its peak
memory, and the whole round is repeated; the table has the median and the range.

  ours, N processes   what tfds_builders.build runs: 16-bit PNG from DICOM, 8-bit from
                      PNG, in N worker processes (start-up not counted)
  naive loop          pydicom and its helpers for the modality LUT and the window,
                      inversion and scaling with NumPy, Pillow to resize and to write
                      an 8-bit PNG
  torchxrayvision     its function that reads a DICOM, then the same Pillow steps;
                      where it is installed

The films are synthetic: 2,800 pixels on the longer side, 12 bits, uncompressed, JPEG
Lossless and JPEG 2000 (lossless); and 299-pixel PNG.
"""

import importlib.util
import io
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from absl import app, flags

from tfds_builders.common.build.ingest import Example
from tfds_builders.common.build.parallel import Workers
from tfds_builders.common.dicom.radiograph import read_radiograph
from tfds_builders.common.images import encode_png, read_grey, resize_longest
from tfds_builders.phantom import write_release

SIZE = 512


class File(NamedTuple):
    """One file to read."""

    name: str
    path: Path


def write_files(
    folder: Path, films: int, pictures: int, side: int, png_side: int
) -> dict[str, Path]:
    """Writes the files; returns {name of the format: folder}."""
    release = write_release("brixia", folder / "brixia", films, size=side)
    formats = {"DICOM, plain": release / "dicom_clean"}
    for name, syntax in (
        ("DICOM, JPEG Lossless", "JPEGLosslessProcess14_1"),
        ("DICOM, JPEG 2000", "JPEG2000Lossless"),
    ):
        formats[name] = folder / syntax
        formats[name].mkdir()
        for path in sorted((release / "dicom_clean").iterdir()):
            _compress(path, formats[name] / path.name, syntax)
    formats["PNG"] = write_release(
        "covid_radiography", folder / "radiography", pictures, size=png_side
    )
    return formats


def _compress(source: Path, target: Path, syntax: str) -> None:
    import gdcm

    reader = gdcm.ImageReader()
    reader.SetFileName(str(source))
    reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    number = getattr(gdcm.TransferSyntax, syntax)
    change.SetTransferSyntax(gdcm.TransferSyntax(number))
    change.SetInput(reader.GetImage())
    change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFile(reader.GetFile())
    writer.SetFileName(str(target))
    writer.SetImage(change.GetOutput())
    if not writer.Write():
        raise RuntimeError(f"gdcm cannot write {syntax}")


def ours(file: File) -> Example:
    """Reads a file as the builders do."""
    if file.path.suffix == ".dcm":
        pixels = read_radiograph(file.path, "header").xray.pixels
    else:
        pixels = read_grey(file.path).pixels
    return Example({"image": encode_png(resize_longest(pixels, SIZE))})


def naive(file: File) -> bytes:
    """Reads a file as a notebook would."""
    import pydicom
    from PIL import Image
    from pydicom.pixels import apply_modality_lut, apply_voi_lut

    if file.path.suffix != ".dcm":
        return _with_pillow(Image.open(file.path).convert("L"))
    header = pydicom.dcmread(file.path)
    pixels = apply_voi_lut(apply_modality_lut(header.pixel_array, header), header)
    if header.PhotometricInterpretation == "MONOCHROME1":
        pixels = pixels.max() - pixels
    return _with_pillow(_grey(pixels))


def torchxrayvision(file: File) -> bytes:
    """Reads a file with that library."""
    from PIL import Image
    from torchxrayvision.utils import load_image, read_xray_dcm

    if file.path.suffix == ".dcm":
        return _with_pillow(_grey(read_xray_dcm(str(file.path))))
    return _with_pillow(Image.fromarray(_to_8bit(load_image(str(file.path))[0])))


def _grey(pixels):
    from PIL import Image

    return Image.fromarray(_to_8bit(pixels))


def _to_8bit(pixels):
    low, high = pixels.min(), pixels.max()
    return ((pixels - low) / (high - low) * 255).astype(np.uint8)


def _with_pillow(picture) -> bytes:
    from PIL import Image

    picture.thumbnail((SIZE, SIZE), Image.Resampling.BILINEAR)
    picture.save(packed := io.BytesIO(), "PNG")
    return packed.getvalue()


def measure(pipeline: str, folder: Path, films: int) -> dict[str, float]:
    """Returns images per second and the peak memory (MB) of one reading process."""
    paths = sorted(p for p in folder.rglob("*") if p.suffix in (".dcm", ".png"))
    paths = [path for path in paths if path.parent.name != "masks"][:films]
    files = [File(str(k), path) for k, path in enumerate(paths)]
    if pipeline in ("naive", "torchxrayvision"):
        read = {"naive": naive, "torchxrayvision": torchxrayvision}[pipeline]
        read(files[0])
        start = time.perf_counter()
        for file in files:
            read(file)
        seconds = time.perf_counter() - start
        peak = peak_memory()
    else:
        count = int(pipeline)
        with Workers(count) as workers:
            # At least one for each process, so that all have started.
            list(workers.in_order(ours, files[:1] * 4 * count, None))
            start = time.perf_counter()
            list(workers.in_order(ours, files, None))
            seconds = time.perf_counter() - start
            asked = workers.in_order(peak_memory, range(8 * count), None)
            peak = max(asked)
    return {"rate": len(files) / seconds, "megabytes": peak}


def peak_memory(_=None) -> float:
    """Peak MB of this process so far; 0 if the system does not report it.

    `getrusage` would also count the process it was forked from.
    """
    status = Path("/proc/self/status")
    if not status.exists():
        return 0.0
    (line,) = (x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def in_fresh_process(pipeline: str, folder: Path, films: int) -> dict[str, float]:
    """Runs `measure` in a fresh process."""
    program = (
        "import json, sys, pathlib; from benchmarks.ingest import measure\n"
        "if __name__ == '__main__':\n"
        "  found = measure(sys.argv[1], pathlib.Path(sys.argv[2]), int(sys.argv[3]))\n"
        "  print(json.dumps(found))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, pipeline, str(folder), str(films)],
        stdout=subprocess.PIPE,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


PIPELINES = {
    "1": "ours, 1 process",
    "2": "ours, 2 processes",
    "naive": "naive loop",
    "torchxrayvision": "torchxrayvision",
}


def installed(pipeline: str) -> bool:
    """Whether a pipeline can be measured here."""
    return (
        pipeline != "torchxrayvision"
        or importlib.util.find_spec("torchxrayvision") is not None
    )


def report(found: dict[tuple[str, str], list[dict]], formats: list[str]) -> str:
    """Returns the table, with each rate as a multiple of the naive loop's."""
    lines = [
        f"{'':34}{'images/s':>10}{'range':>16}{'x naive':>9}{'MB':>7}",
    ]
    for name in formats:
        lines.append(name)
        rates = {
            pipeline: [run["rate"] for run in found[name, pipeline]]
            for pipeline in PIPELINES
            if (name, pipeline) in found
        }
        naive_rate = statistics.median(rates["naive"])
        for pipeline, title in PIPELINES.items():
            if pipeline not in rates:
                lines.append(f"  {title:32}{'not installed':>16}")
                continue
            rate = statistics.median(rates[pipeline])
            span = f"{min(rates[pipeline]):.1f}-{max(rates[pipeline]):.1f}"
            peak = max(run["megabytes"] for run in found[name, pipeline])
            lines.append(
                f"  {title:32}{rate:10.1f}{span:>16}{rate / naive_rate:9.2f}{peak:7.0f}"
            )
        gain = statistics.median(rates["2"]) / statistics.median(rates["1"])
        lines.append(f"  {'two processes against one':32}{gain:10.2f} x")
    return "\n".join(lines)


def run(films: int, pictures: int, repeats: int, side=2800, png_side=299) -> str:
    """Draw the files, measure all pipelines in turn, and return the table."""
    with tempfile.TemporaryDirectory() as folder:
        formats = write_files(Path(folder), films, pictures, side, png_side)
        found: dict[tuple[str, str], list[dict]] = {}
        for _ in range(repeats):
            for name, where in formats.items():
                count = pictures if name == "PNG" else films
                for pipeline in filter(installed, PIPELINES):
                    runs = found.setdefault((name, pipeline), [])
                    runs.append(in_fresh_process(pipeline, where, count))
    return report(found, list(formats))


def main(_) -> None:
    values = flags.FLAGS
    print(run(values.films, values.pictures, values.repeats))


if __name__ == "__main__":
    flags.DEFINE_integer("films", 16, "DICOM files of each kind")
    flags.DEFINE_integer("pictures", 400, "PNG files")
    flags.DEFINE_integer("repeats", 3, "rounds")
    app.run(main)
