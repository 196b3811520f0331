"""Results as DICOM: a structured report, a picture, a page. docs/node.md shows them."""

from __future__ import annotations

from collections.abc import Sequence

from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset

from cxr_jax.bundle.loaded import Bundle
from cxr_jax.serve.objects import capture, pdf, sr
from cxr_jax.serve.objects.instance import Subject
from cxr_jax.serve.objects.origin import origin
from cxr_jax.serve.scored import FilmResult

OBJECTS = {each.KIND.name: each.make for each in (sr, capture, pdf)}


def make(
    film: Dataset, result: FilmResult, bundle: Bundle, kinds: Sequence[str]
) -> list[Dataset]:
    """The results of a film that could be read, in the order of `kinds`.

    They depend on nothing else: made again, they are the same bytes under the same
    UIDs.

    Args:
      film: the header, at least.
      result: of this film.
      bundle: the model.
      kinds: of OBJECTS.

    Raises:
      InputError: the film lacks one of its UIDs.
    """
    with disable_value_validation():  # identifiers are copied as they are
        subject = Subject(origin(film), result, bundle)
        return [OBJECTS[kind](subject) for kind in kinds]
