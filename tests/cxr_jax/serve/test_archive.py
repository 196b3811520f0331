"""The node between the systems of a hospital: Orthanc routes, results come back."""

import json

import cv2
import numpy as np
import pytest
from archive import AET, dataset, orthanc
from node_films import film
from node_results import content, read_back
from nodes import free_port, running, until

from cxr_jax.bundle import loaded
from cxr_jax.serve.objects import make
from cxr_jax.serve.scored import score_film


@pytest.fixture(scope="module")
def routed(toy, tmp_path_factory):
    """(archive, node, film) after one film went round."""
    folder = tmp_path_factory.mktemp("routed")
    port = free_port()
    header = film(7, PatientName="Müller^Jürgen", SpecificCharacterSet="ISO_IR 100")
    with orthanc(folder, port, routes=True) as archive:
        target = f"--send_to={AET}@127.0.0.1:{archive.port}"
        with running(toy, folder, target, "--kinds=sr,sc,pdf", port=port) as node:
            archive.post("/instances", content(header))
            until(lambda: len(archive.instances()) == 4)
            yield archive, node, header


def test_results_lie_beside_the_film_in_its_study(routed):
    archive, _, header = routed
    [study] = json.loads(archive.get("/studies?expand"))
    tags = study["MainDicomTags"]
    assert tags["StudyInstanceUID"] == header.StudyInstanceUID
    assert study["PatientMainDicomTags"]["PatientName"] == "Müller^Jürgen"
    assert set(archive.instances()) == {"CR", "SR", "OT", "DOC"}
    assert len(study["Series"]) == 4


def test_they_are_what_was_made(routed, toy, tmp_path):
    archive, _, header = routed
    path = tmp_path / "film.dcm"
    path.write_bytes(content(header))
    bundle = loaded.load(toy)
    result = score_film(bundle, path, header.SOPInstanceUID, "off")
    names = archive.instances()
    for made in make(header, result, bundle, ["sr", "sc", "pdf"]):
        assert dataset(archive, names[made.Modality]) == read_back(made)


def test_the_archive_shows_the_picture(routed):
    archive, _, _ = routed
    name = archive.instances()["OT"]
    shown = cv2.imdecode(
        np.frombuffer(archive.get(f"/instances/{name}/preview"), np.uint8),
        cv2.IMREAD_COLOR,
    )
    assert shown is not None
    np.testing.assert_array_equal(shown[..., ::-1], dataset(archive, name).pixel_array)


def test_a_film_that_is_routed_again_changes_nothing(routed):
    archive, node, _ = routed
    before = archive.instances()
    archive.post("/modalities/node/store", before["CR"].encode())
    until(lambda: "again" in [each["why"] for each in node.events("stored")])
    assert len(node.events("scored")) == 1
    assert archive.instances() == before


def test_a_picture_that_is_routed_back_has_no_results(routed):
    archive, node, _ = routed
    before = archive.instances()
    archive.post("/modalities/node/store", before["OT"].encode())
    until(lambda: node.events("refused"))
    assert len(node.events("scored")) == 1
    assert archive.instances() == before
