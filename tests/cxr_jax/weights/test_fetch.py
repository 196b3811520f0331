import hashlib
import http.server
import threading

import pytest

from cxr_jax.weights import fetch
from cxr_jax.weights.published import PUBLISHED, Published
from tfds_builders.common.errors import InputError

CONTENT = b"weights" * 1000


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A public location on this machine; -> how often it was asked."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(CONTENT)

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{serving.server_port}/a.pth"
        digits = hashlib.sha256(CONTENT).hexdigest()[:8]
        known = {
            "right": Published(url, f"sha256:{digits}", "resnet18", "torch"),
            "wrong": Published(url, "md5:00", "resnet18", "torch"),
        }
        monkeypatch.setattr(fetch, "PUBLISHED", known)
        yield asked
        serving.shutdown()


def test_a_file_is_fetched_once_and_checked(server, tmp_path):
    first = fetch.fetch("right", tmp_path / "new")
    assert first.read_bytes() == CONTENT
    assert fetch.fetch("right", tmp_path / "new") == first and len(server) == 1
    first.write_bytes(b"else")
    with pytest.raises(InputError, match="damaged or another file"):
        fetch.fetch("right", tmp_path / "new")


def test_a_wrong_checksum_leaves_no_file(server, tmp_path):
    with pytest.raises(InputError, match="the published one is 00"):
        fetch.fetch("wrong", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_without_a_network_the_error_says_where_to_put_the_file(tmp_path, monkeypatch):
    known = Published("http://127.0.0.1:9/a.pth", "md5:00", "resnet18", "torch")
    monkeypatch.setattr(fetch, "PUBLISHED", {"a": known})
    with pytest.raises(InputError, match=f"put it at {tmp_path}/a.pth"):
        fetch.fetch("a", tmp_path)


def test_published_weights_belong_to_existing_models():
    from cxr_jax.models import MODELS

    assert {known.model for known in PUBLISHED.values()} <= set(MODELS)
    assert all(known.checksum.split(":")[1] for known in PUBLISHED.values())
