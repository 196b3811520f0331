"""Exported models: `load(path).predict(films)`, without JAX; see docs/deployment.md.

Imports numpy, OpenCV, pydicom and ONNX Runtime only.
"""

from cxr_jax.bundle.loaded import Bundle, is_bundle, load

__all__ = ["Bundle", "is_bundle", "load"]
