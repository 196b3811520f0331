"""The server of a bundle: this machine alone, whole answers, a quiet end."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading

import pytest

from cxr_jax.view import localhost
from tfds_builders.common.errors import InputError


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle")
    (folder / "bundle.json").write_text("{}")
    (folder / "model.onnx").write_bytes(bytes(range(256)) * 5000)
    (folder / "card.html").write_text("<p>card</p>")
    (folder / "empty.json").write_bytes(b"")
    return folder


@pytest.fixture(scope="module")
def server(bundle):
    server = localhost.open_server(bundle)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def ask(server):
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)

    def ask(target, method="GET", **headers):
        connection.request(method, target, headers=headers)
        answer = connection.getresponse()
        return answer, answer.read()

    yield ask
    connection.close()


def test_a_file_and_its_parts(ask, bundle):
    whole = (bundle / "model.onnx").read_bytes()
    answer, data = ask("/model.onnx")
    assert answer.status == 200 and data == whole
    answer, data = ask("/model.onnx", Range="bytes=1000-1999")
    assert answer.status == 206 and data == whole[1000:2000]
    assert answer.headers["Content-Range"] == f"bytes 1000-1999/{len(whole)}"
    answer, data = ask("/model.onnx", Range=f"bytes={len(whole)}-")
    assert answer.status == 416 and data == b""
    answer, data = ask("/model.onnx", "HEAD")
    assert answer.status == 200 and answer.headers["Content-Length"] == str(len(whole))
    answer, data = ask("/empty.json")
    assert answer.status == 200 and data == b""


def test_unchanged_files_are_not_sent_again(ask, bundle):
    answer, _ = ask("/bundle.json")
    answer, data = ask("/bundle.json", **{"If-None-Match": answer.headers["ETag"]})
    assert answer.status == 304 and data == b""


def test_headers(ask):
    answer, _ = ask("/web/index.html")
    assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert answer.headers["Cross-Origin-Embedder-Policy"] == "require-corp"
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "connect-src 'self'" in policy
    assert "unsafe-inline" not in policy and "'unsafe-eval'" not in policy
    answer, _ = ask("/card.html")
    assert "script-src" not in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize("target", ["/../x", "/absent.json", "/%2e%2e/x"])
def test_what_is_not_there(ask, target):
    answer, _ = ask(target)
    assert answer.status == 404


def test_the_start_leads_to_the_page(ask):
    answer, _ = ask("/")
    assert answer.status == 302 and answer.headers["Location"] == "/web/"


def test_other_names_and_methods_are_refused(ask):
    assert ask("/bundle.json", Host="example.org")[0].status == 421
    assert ask("/bundle.json", Host="localhost:9")[0].status == 200
    assert ask("/bundle.json", "POST")[0].status == 501


def test_only_this_machine(server):
    assert server.server_address[0] == "127.0.0.1"


def test_a_port_that_is_taken(bundle):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(InputError, match=f"{port} is taken"):
            localhost.open_server(bundle, port)
    with pytest.raises(InputError, match="there is no port"):
        localhost.open_server(bundle, 70_000)


def test_a_folder_that_is_no_bundle(tmp_path):
    with pytest.raises(InputError, match="holds no bundle.json"):
        localhost.serve(tmp_path)
    with pytest.raises(InputError, match="is not a folder"):
        localhost.serve(tmp_path / "absent")


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "--bundle: is not given"),
        (["--bundle=absent"], "is not a folder"),
        (["--bundle=b", "--input=a.png"], "films are dropped onto the page"),
        (["--bundle=b", "--checkpoint=runs/a"], "does not go with --mode=view"),
    ],
)
def test_mistakes_are_one_message(arguments, message):
    command = [sys.executable, "-m", "cxr_jax.main", "--mode=view", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_ctrl_c_ends_it_quietly(bundle):
    command = [
        sys.executable,
        "-m",
        "cxr_jax.main",
        "--mode=view",
        f"--bundle={bundle}",
    ]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("Open http://127.0.0.1:")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 0 and errors == ""
