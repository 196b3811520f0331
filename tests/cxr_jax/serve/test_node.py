"""A node from end to end: films in by C-STORE, results out."""

import pydicom
from node_films import film
from nodes import running, send, until


def test_films_become_results_in_a_folder(toy, tmp_path):
    films = [film(number) for number in range(3)]
    with running(toy, tmp_path) as node:
        assert send(node.port, films) == [0, 0, 0]
        until(lambda: len(list(node.out.glob("*.dcm"))) == 6)
        assert send(node.port, films[:1]) == [0]
        assert node.stop() == 0
    studies = {pydicom.dcmread(path).StudyInstanceUID for path in node.out.iterdir()}
    assert studies == {each.StudyInstanceUID for each in films}
    assert len(node.events("scored")) == 3
    assert [each["why"] for each in node.events("stored")] == [*["new"] * 3, "again"]
