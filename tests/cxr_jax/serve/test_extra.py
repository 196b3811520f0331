"""Says why the tests beside it were left out, where they were."""

import pytest


@pytest.mark.parametrize(
    "name", ["pynetdicom", "highdicom", "dicomweb_client", "onnxruntime"]
)
def test_it_is_installed(name):
    pytest.importorskip(name, reason=f"{name} of the extra [serve] is not installed")
