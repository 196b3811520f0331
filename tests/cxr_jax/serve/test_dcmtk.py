"""The node between DCMTK's programs: all transfer syntaxes in, results out."""

import importlib.util
import subprocess

import pydicom
import pytest
from archive import echoscu, storescp, storescu
from dicom_writer import save
from node_films import film
from node_results import dciodvfy, program
from nodes import running, until

# (program and option that writes it, option of storescu that offers it alone)
NATIVE = {
    "implicit": (["dcmconv", "+ti"], "-xi"),
    "explicit": (["dcmconv", "+te"], "-xe"),
    "big endian": (["dcmconv", "+tb"], "-xb"),
    "deflated": (["dcmconv", "+td"], "-xd"),
    "run length": (["dcmcrle"], "-xr"),
}
COMPRESSED = {
    "JPEG lossless": (["dcmcjpeg"], "-xs"),
    "JPEG-LS": (["dcmcjpls"], "-xt"),
}


def syntaxes():
    found = dict(NATIVE)
    if importlib.util.find_spec("imagecodecs"):
        found |= COMPRESSED
    return found


def numbers(made: pydicom.Dataset) -> list[str]:
    return [
        str(each.value) for each in made.iterall() if each.keyword == "NumericValue"
    ]


@pytest.fixture(scope="module")
def came(toy, tmp_path_factory):
    """The files that DCMTK received after it had sent one film in all syntaxes."""
    folder, wanted = tmp_path_factory.mktemp("came"), syntaxes()
    with storescp(folder) as (port, out):
        target = f"--send_to=DEST@127.0.0.1:{port}"
        with running(toy, folder, target) as node:
            assert echoscu(node.port, "CXRJAX")
            for number, (convert, offer) in enumerate(wanted.values()):
                plain = film(1, SOPInstanceUID=f"1.2.3.{number + 1}")
                source = save(folder / f"{number}.dcm", plain)
                path = folder / f"{number}.sent.dcm"
                command = [program(convert[0]), *convert[1:], source, path]
                subprocess.run(command, check=True, timeout=60)
                storescu(node.port, path, offer)
            until(lambda: len(list(out.iterdir())) == 2 * len(wanted))
            assert node.stop() == 0
    return sorted(out.iterdir())


def test_the_same_film_in_all_syntaxes_has_the_same_scores(came):
    made = [pydicom.dcmread(path) for path in came]
    reports = [each for each in made if each.Modality == "SR"]
    assert len(reports) == len(syntaxes())
    assert len({tuple(numbers(each)) for each in reports}) == 1
    assert len(numbers(reports[0])) == 4 + 6 * 6
    assert len({each.SOPInstanceUID for each in made}) == len(made)


def test_what_arrives_is_valid_and_dcmtk_reads_it(came):
    for path in came[:1] + came[len(came) // 2 :][:1] + came[-1:]:
        assert not dciodvfy(path)
        command = [program("dcmdump"), "+P", "StudyInstanceUID", str(path)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        assert film(1).StudyInstanceUID in done.stdout
    report = next(path for path in came if path.name.startswith("SR"))
    command = [program("dsrdump"), str(report)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert '"Upper zone of lung"' in done.stdout
