"""A bundle with a toy network, served to a real browser with the page as it is built."""

import base64
import hashlib
import json
import shutil
import threading
from contextlib import contextmanager

import numpy as np
import pytest
from browser import opened_browser
from toy_onnx import toy_onnx

from cxr_jax import web
from cxr_jax.view import serve

SIDE = 64
STEPS = {
    "format": 1,
    "steps": [
        {"op": "read", "bits": 16, "polarity": "header"},
        {"op": "longest", "side": 256},
        {"op": "square", "side": SIDE},
        {"op": "unit"},
    ],
}


def recipe(task: str) -> dict:
    zones = task == "brixia"
    return {
        "format": 1,
        "made_by": "cxr_jax test",
        "name": f"toy {task}",
        "task": task,
        "classes": list("0123") if zones else ["Normal", "COVID"],
        "questions": list("ABCDEF") if zones else [""],
        "decision": {
            "thresholds": None if zones else [0.5, 0.4],
            "temperature": 1.3,
            "set_least": 0.12,
            "coverage": 0.9,
            **({"interval_factor": 1.9} if zones else {}),
        },
        "outputs": ["probs", "features", "heatmap"],
        "variants": {"float32": "model.onnx"},
        "input": {"name": "image", "shape": [1, SIDE, SIDE, 1]},
        "trained_on": "toys",
        "run_digest": "0" * 64,
    }


def write_bundle(folder, task: str):
    """A bundle without gate; its card is one sentence."""
    made = recipe(task)
    folder.mkdir(parents=True)
    (folder / "bundle.json").write_text(json.dumps(made))
    (folder / "preprocess.json").write_text(json.dumps(STEPS))
    groups, classes = len(made["questions"]), len(made["classes"])
    (folder / "model.onnx").write_bytes(toy_onnx(SIDE, groups, classes))
    (folder / "card.html").write_text(
        "<!doctype html><html lang=en><title>Card</title><style>p { color: navy }"
        "</style><p>A toy. For research only.</p>"
    )
    shutil.copytree(web.PAGE, folder / "web")
    write_sums(folder)
    return folder


def write_sums(folder):
    """SHA256SUMS of the files beside it."""
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name != "SHA256SUMS"
    ]
    (folder / "SHA256SUMS").write_text("".join(lines))


@contextmanager
def served(bundle):
    """The address of a bundle."""
    server = serve.open_server(bundle)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def brixia_bundle(tmp_path_factory):
    return write_bundle(tmp_path_factory.mktemp("bundles") / "brixia", "brixia")


@pytest.fixture(scope="session")
def class_bundle(tmp_path_factory):
    return write_bundle(tmp_path_factory.mktemp("bundles") / "classify", "classify")


@pytest.fixture(scope="session")
def browser():
    with opened_browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def site(tmp_path_factory, brixia_bundle):
    """(folder, address): a bundle that tests put films into."""
    folder = tmp_path_factory.mktemp("site") / "bundle"
    shutil.copytree(brixia_bundle, folder)
    with served(folder) as address:
        yield folder, address


ASK = """async ([address, name, steps]) => {
  const file = await (await fetch(address)).blob();
  const request = {id: ++window.asked, op: 'prepare', file, name, preprocess: steps};
  const {found, error} = await new Promise(resolve => {
    const heard = event => {
      if (event.data.id !== request.id) return;
      window.worker.removeEventListener('message', heard);
      resolve(event.data);
    };
    window.worker.addEventListener('message', heard);
    window.worker.postMessage(request);
  });
  if (error) return {error};
  const text = array => {
    const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
    let out = '';
    for (let k = 0; k < bytes.length; k += 32768)
      out += String.fromCharCode(...bytes.subarray(k, k + 32768));
    return btoa(out);
  };
  const {width, height, data, notes} = found.film;
  return {width, height, notes, bytes: data.BYTES_PER_ELEMENT,
    film: text(data), input: text(found.input)};
}"""


@pytest.fixture(scope="module")
def prepare(site, browser):
    """prepare(path, steps) -> what the page's worker makes of a file.

    {'film': uint8 or uint16 [H, W], 'input': float32 [S, S], 'notes': [...]}, or
    {'error': text}.
    """
    folder, address = site
    (script,) = (folder / "web" / "assets").glob("worker-*.js")
    page = browser.new_page()
    page.goto(f"{address}/bundle.json")
    page.evaluate(
        "url => { window.asked = 0; window.worker = new Worker(url, {type: 'module'}); }",
        f"/web/assets/{script.name}",
    )

    def prepare(path, steps=STEPS):
        target = folder / "films" / path.name
        target.parent.mkdir(exist_ok=True)
        shutil.copy(path, target)
        found = page.evaluate(ASK, [f"/films/{path.name}", path.name, steps])
        target.unlink()
        if "error" in found:
            return found
        dtype = np.uint8 if found["bytes"] == 1 else np.uint16
        film = np.frombuffer(base64.b64decode(found["film"]), dtype)
        side = steps["steps"][-2]["side"]
        given = np.frombuffer(base64.b64decode(found["input"]), np.float32)
        return {
            "film": film.reshape(found["height"], found["width"]),
            "input": given.reshape(side, side),
            "notes": found["notes"],
        }

    yield prepare
    page.close()
