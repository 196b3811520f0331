"""Phantom films, and a gate of some of them."""

import pytest
from gate_films import FITTED, HELD, draw, features_of

from cxr_jax.gate.fit import fit


@pytest.fixture(scope="session")
def phantoms():
    """FITTED + HELD films."""
    return [draw(index) for index in range(FITTED + HELD)]


@pytest.fixture(scope="session")
def gate(phantoms):
    """Of the first FITTED phantoms."""
    return fit(phantoms[:FITTED], features_of, 0)


@pytest.fixture(scope="session")
def held(phantoms):
    """The other phantoms."""
    return phantoms[FITTED:]
