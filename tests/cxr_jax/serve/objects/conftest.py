"""Bundles of toys, opened."""

import pytest
from toy_bundle import write_bundle

from cxr_jax.bundle import loaded


@pytest.fixture(scope="session")
def brixia(toy):
    """A model of zones."""
    return loaded.load(toy)


@pytest.fixture(scope="session")
def classify(tmp_path_factory):
    """A model of classes."""
    folder = tmp_path_factory.mktemp("classify") / "bundle"
    return loaded.load(write_bundle(folder, "classify"))
