"""Results by STOW-RS: to Orthanc, and to servers that answer otherwise."""

import http.server
import json
import threading

import pydicom
import pytest
from archive import dataset, orthanc
from node_films import film
from nodes import free_port

from cxr_jax.serve import options, to_web
from cxr_jax.serve import spool as spool_lib
from cxr_jax.serve.journal import Journal, Made
from cxr_jax.serve.options import Peer, Web
from cxr_jax.serve.to_peer import Unreachable
from tfds_builders.common.errors import InputError


@pytest.fixture
def waiting(tmp_path):
    """(spool, rows) of two results that wait to be sent."""
    spool = spool_lib.open_spool(tmp_path / "spool")
    journal = Journal(spool.path)
    for number in range(2):
        made = film(number)
        path = spool.results_of(f"{number:02}") / "0.dcm"
        path.parent.mkdir()
        pydicom.dcmwrite(path, made, enforce_file_format=True)
        journal.add(str(number), f"{number:02}", 1, "PACS", 1.0)
        name = path.relative_to(spool.path).as_posix()
        row = Made(made.SOPInstanceUID, made.SOPClassUID, name, "0" * 64, 1)
        journal.scored(journal.received(1)[0].id, "", [row], 1.0)
    yield spool, journal.due(2.0, 9)
    journal.close()


@pytest.fixture
def answering():
    """answering(status, content, headers): the URL of a server that always says it."""
    servers = []

    def start(status, content=b"", **headers):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return Web(f"http://127.0.0.1:{server.server_port}/dicom-web")

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def delivered(web, waiting):
    spool, rows = waiting
    begun = []
    found = list(to_web.deliver(web, None, spool, rows, begun.append))
    assert [row for row, _ in found] == rows == begun
    return [why for _, why in found]


def failed(reason):
    item = {"00081197": {"vr": "US", "Value": [reason]}}
    return json.dumps({"00081198": {"vr": "SQ", "Value": [item]}}).encode()


JSON = {"Content_Type": "application/dicom+json"}


def test_orthanc_has_what_was_sent_and_may_be_sent_it_twice(waiting, tmp_path):
    with orthanc(tmp_path, free_port()) as archive:
        if not archive.has_web:
            pytest.skip("orthanc-dicomweb is not installed")
        for _ in range(2):
            assert delivered(Web(archive.web), waiting) == ["", ""]
        names = json.loads(archive.get("/instances"))
        stored = {
            each.SOPInstanceUID: each for each in (dataset(archive, n) for n in names)
        }
    assert stored == {film(n).SOPInstanceUID: film(n) for n in range(2)}


@pytest.mark.parametrize(
    ("status", "content", "headers", "why"),
    [
        (409, failed(0x0111), JSON, ""),
        (409, failed(0xA700), JSON, "status 409"),
        (409, b"<html>", {"Content_Type": "text/html"}, "status 409"),
        (202, failed(0xC122), JSON, "failure 0xC122"),
        (200, b"<html>log in", {"Content_Type": "text/html"}, "it does not say"),
        (200, b"", {}, "it does not say"),
        (200, b"{", JSON, "not understood"),
        (401, b"", {}, "status 401"),
        (503, b"", {}, "status 503"),
    ],
)
def test_only_an_answer_that_says_so_is_taken_for_stored(
    status, content, headers, why, waiting, answering
):
    for found in delivered(answering(status, content, **headers), waiting):
        assert (found == why) if not why else (why in found)


def test_a_redirect_is_not_followed(waiting, answering):
    web = answering(302, b"", Location="/elsewhere")
    with pytest.raises(Unreachable):
        delivered(web, waiting)


def test_who_does_not_answer_is_unreachable(waiting):
    with pytest.raises(Unreachable, match="does not answer"):
        delivered(Web(f"http://127.0.0.1:{free_port()}/dicom-web"), waiting)


def test_a_result_that_cannot_be_read_does_not_stop_the_others(waiting, answering):
    spool, rows = waiting
    (spool.path / rows[0].file).write_bytes(b"no DICOM")
    web = answering(409, failed(0x0111), **JSON)
    found = [why for _, why in to_web.deliver(web, None, spool, rows, lambda row: None)]
    assert "cannot be read" in found[0]
    assert found[1] == ""


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ORTHANC@10.0.0.5:4242", Peer("ORTHANC", "10.0.0.5", 4242)),
        ("https://pacs/dicom-web/", Web("https://pacs/dicom-web")),
        ("http://localhost:8042/dicom-web", Web("http://localhost:8042/dicom-web")),
        ("http://127.0.0.1:8042/dw", Web("http://127.0.0.1:8042/dw")),
    ],
)
def test_a_destination_is_a_node_or_a_url(text, found):
    assert options.destination(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "http://10.0.0.5/dicom-web",
        "ftp://pacs/",
        "https://",
        "https://me:secret@pacs/dicom-web",
        "https://pacs/dicom-web?x=1",
        "pacs",
    ],
)
def test_a_url_that_is_unsafe_or_none_is_an_error(text):
    with pytest.raises(InputError) as error:
        options.destination(text)
    assert "secret" not in str(error.value)
