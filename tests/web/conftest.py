"""A bundle with a toy network, served to a real browser with the page as it is built."""

import base64
import shutil
import threading
from contextlib import contextmanager

import numpy as np
import pytest
from toy_bundle import STEPS, toy_features, write_bundle

from cxr_jax.gate.fit import fit
from cxr_jax.view import localhost
from tfds_builders.common.film import read_film
from tfds_builders.phantom import write_release


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
