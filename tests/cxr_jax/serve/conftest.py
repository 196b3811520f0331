"""A toy bundle for all nodes of these tests."""

import pytest
from toy_bundle import write_bundle

pytest.importorskip("pynetdicom", reason="the extra [serve] is not installed")
pytest.importorskip("onnxruntime", reason="the extra [score] is not installed")


@pytest.fixture(scope="session")
def toy(tmp_path_factory):
    """A bundle of a toy network, without a gate."""
    return write_bundle(tmp_path_factory.mktemp("toy") / "bundle", "brixia")
