"""A bundle with a toy network, served to a real browser with the page as it is built."""

import base64
import hashlib
import json
import shutil
import threading
from contextlib import contextmanager

import numpy as np
import pytest
from toy_onnx import outputs, toy_onnx

from cxr_jax import web
from cxr_jax.gate.fit import fit
from cxr_jax.gate.gate_file import to_json
from cxr_jax.predict import squares
from cxr_jax.predict.recipe import steps_from_json
from cxr_jax.view import localhost
from tfds_builders.common.film import read_film
from tfds_builders.phantom import write_release

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


def write_bundle(folder, task: str, gate=None):
    """A bundle whose card is one sentence."""
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
    if gate:
        (folder / "gate.json").write_text(json.dumps(to_json(gate)))
    write_sums(folder)
    return folder


def toy_features(films) -> np.ndarray:
    """Features [n, 64] of the toy network, of films as `read` gives them."""
    steps = steps_from_json("preprocess.json", STEPS)
    squares_ = [squares.square(film, steps)[..., 0] for film in films]
    return np.stack([outputs(each, 6, 4)[1] for each in squares_]).astype(np.float32)


@pytest.fixture(scope="session")
def phantoms(tmp_path_factory):
    """Sixty phantom films as JPEG, of 110 pixels."""
    folder = tmp_path_factory.mktemp("phantoms")
    write_release("covidgr", folder, 60, size=128)
    return sorted(folder.rglob("*.jpg"))


@pytest.fixture(scope="session")
def gate(phantoms):
    """A gate of the toy network, fitted to phantoms."""
    return fit([read_film(path, 16).pixels for path in phantoms], toy_features, 0)


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
    server = localhost.open_server(bundle)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def brixia_bundle(tmp_path_factory, gate):
    """Of six zones, with a gate."""
    return write_bundle(tmp_path_factory.mktemp("bundles") / "brixia", "brixia", gate)


@pytest.fixture(scope="session")
def class_bundle(tmp_path_factory):
    """Of two classes, without a gate."""
    return write_bundle(tmp_path_factory.mktemp("bundles") / "classify", "classify")


@pytest.fixture(scope="module")
def site(tmp_path_factory, brixia_bundle):
    """(folder, address): a bundle that tests put films into."""
    folder = tmp_path_factory.mktemp("site") / "bundle"
    shutil.copytree(brixia_bundle, folder)
    with served(folder) as address:
        yield folder, address


# Sends a request to the worker; arrays come back as text.
ASK = """async ([address, name, request]) => {
  const file = await (await fetch(address)).blob();
  const asked = {...request, id: ++window.asked, file, name};
  const {found, error} = await new Promise(resolve => {
    const heard = event => {
      if (event.data.id !== asked.id) return;
      window.worker.removeEventListener('message', heard);
      resolve(event.data);
    };
    window.worker.addEventListener('message', heard);
    window.worker.postMessage(asked);
  });
  const packed = value => {
    if (ArrayBuffer.isView(value)) {
      const bytes = new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
      let text = '';
      for (let k = 0; k < bytes.length; k += 32768)
        text += String.fromCharCode(...bytes.subarray(k, k + 32768));
      return {dtype: value.constructor.name, text: btoa(text)};
    }
    if (Array.isArray(value)) return value.map(packed);
    if (value === null || typeof value !== 'object') return value;
    return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, packed(v)]));
  };
  return error ? {error} : packed(found);
}"""

OPEN = """async () => {
  const json = name => fetch(name).then(found => found.ok ? found.json() : undefined);
  const model = new Uint8Array(await (await fetch('/model.onnx')).arrayBuffer());
  const request = {id: ++window.asked, op: 'open', model, bundle: await json('/bundle.json'),
    preprocess: await json('/preprocess.json'), gate: await json('/gate.json')};
  const {error} = await new Promise(resolve => {
    window.worker.onmessage = event => resolve(event.data);
    window.worker.postMessage(request);
  });
  window.worker.onmessage = null;
  return error;
}"""

DTYPES = {"Uint8Array": np.uint8, "Uint16Array": np.uint16, "Float32Array": np.float32}


@pytest.fixture(scope="module")
def ask(site, browser):
    """ask(file, **request) -> what the worker of the page answers about a file."""
    folder, address = site
    (script,) = (folder / "web" / "assets").glob("worker-*.js")
    page = browser.new_page()
    page.goto(f"{address}/bundle.json")
    page.evaluate(
        "url => { window.asked = 0; window.worker = new Worker(url, {type: 'module'}); }",
        f"/web/assets/{script.name}",
    )
    assert page.evaluate(OPEN) is None

    def ask(file, **request):
        target = folder / "films" / file.name
        target.parent.mkdir(exist_ok=True)
        shutil.copy(file, target)
        found = page.evaluate(ASK, [f"/films/{file.name}", file.name, request])
        target.unlink()
        return unpacked(found)

    yield ask
    page.close()


def unpacked(value):
    """The arrays of an answer of `ask`."""
    if isinstance(value, list):
        return [unpacked(each) for each in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"dtype", "text"}:
        return np.frombuffer(base64.b64decode(value["text"]), DTYPES[value["dtype"]])
    return {key: unpacked(each) for key, each in value.items()}


@pytest.fixture(scope="module")
def prepare(ask):
    """prepare(path, steps) -> what the page makes of a film.

    {'film': uint8 or uint16 [H, W], 'input': float32 [S, S], 'notes': [...]}, or
    {'error': text}.
    """

    def prepare(path, steps=STEPS):
        found = ask(path, op="prepare", preprocess=steps)
        if "error" in found:
            return found
        film, side = found["film"], steps["steps"][-2]["side"]
        return {
            "film": film["data"].reshape(film["height"], film["width"]),
            "input": found["input"].reshape(side, side),
            "notes": film["notes"],
        }

    return prepare
