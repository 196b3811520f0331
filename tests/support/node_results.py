"""Films with what a model makes of them, and programs that judge results."""

import io
import re
import shutil
import subprocess

import pydicom
import pytest
from dicom_writer import save
from node_films import film

from cxr_jax.predict import overlay, reading
from cxr_jax.predict import record as records
from cxr_jax.predict.inputs import Item
from cxr_jax.predict.record import PASSED, REFUSED, WARNED
from cxr_jax.serve.scored import FilmResult, score_film

REASONS = {
    PASSED: "",
    WARNED: "view=0.91>0.50",
    REFUSED: "view=0.91>0.50;size=1.28>1.00",
}


def scored(bundle, folder, number=1, **tags):
    """(film, its FilmResult) of a model that has no gate."""
    header = film(number, **tags)
    path = save(folder / f"{number}.dcm", header)
    result = score_film(bundle, path, header.SOPInstanceUID, "off")
    assert not result.record["error"]
    return header, result


def judged(bundle, folder, gate, number=1, **tags):
    """The same after a gate that found something."""
    header, result = scored(bundle, folder, number, **tags)
    recipe = bundle.recipe
    if gate == REFUSED:
        made = records.record(recipe, "a.dcm", header.SOPInstanceUID)
    else:
        made = dict(result.record)
    made |= {"gate": gate, "gate_reasons": REASONS[gate]}
    item = Item("a.dcm", header.SOPInstanceUID, folder / f"{number}.dcm")
    shown = reading.read(reading.Task(recipe.preprocess, False, True), item).shown
    return header, FilmResult(made, overlay.draw(recipe, made, shown, None))


def content(made: pydicom.Dataset) -> bytes:
    """As the node writes it."""
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, made, enforce_file_format=True)
    return buffer.getvalue()


def read_back(made: pydicom.Dataset) -> pydicom.Dataset:
    """As another program reads it."""
    return pydicom.dcmread(io.BytesIO(content(made)))


def program(name: str) -> str:
    """The path of a program; the test is skipped where it is absent."""
    found = shutil.which(name, path="/usr/sbin:/usr/bin:/usr/local/bin")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def dciodvfy(path) -> list[str]:
    """What David Clunie's validator calls an error."""
    command = [program("dciodvfy"), str(path)]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=60
    )
    lines = (done.stdout + done.stderr).splitlines()
    assert lines, "it said nothing, not even the class"
    return [
        line for line in lines if re.match(r"(\(.*\) - )?error", line, re.IGNORECASE)
    ]
