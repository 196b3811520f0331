import base64
import contextlib
import copy
import json

import numpy as np
import pytest
from gate_films import features_of
from hypothesis import given, settings
from hypothesis import strategies as st

from cxr_jax.gate.gate_file import from_json, to_json
from cxr_jax.gate.judge import judge
from tfds_builders.common.errors import InputError


def test_round_trip_is_equal_to_the_bit(gate, held):
    content = json.loads(json.dumps(to_json(gate), allow_nan=False))
    again = from_json(content)
    assert to_json(again) == content
    films = [255 - film for film in held[:5]] + held[:5]
    for film in films:
        features = features_of([film])[0]
        assert judge(again, film, features) == judge(gate, film, features)


def test_arrays_are_little_endian_float32(gate):
    found = to_json(gate)["view"]["basis"]
    data = base64.b64decode(found["float32"])
    array = np.frombuffer(data, "<f4").reshape(found["shape"])
    np.testing.assert_array_equal(array, gate.view.basis)


def set_at(content, path, value):
    content = copy.deepcopy(content)
    inner = content
    for key in path[:-1]:
        inner = inner[key]
    if value is None:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return content


NAN = base64.b64encode(np.full(384, np.nan, "<f4").tobytes()).decode()


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("format",), 2, "format 2"),
        (("view",), None, "no view"),
        (("maps", "polarity"), None, "no maps.polarity"),
        (("maps", "cropped", "weights", "shape"), [383], r"shape \[383\], not \[384\]"),
        (("maps", "cropped", "weights", "shape"), [384.0], "shape"),
        (("maps", "cropped", "weights", "float32"), "????", "damaged"),
        (("maps", "cropped", "weights", "float32"), "AAAA", "damaged"),
        (("maps", "cropped", "weights", "float32"), NAN, "not finite"),
        (("view", "rest"), "1", "view.rest is"),
        (("view", "mean", "shape"), [-384], "shape"),
        (("unlike_training", "basis", "shape"), [1], "shape"),
        (("shortest",), 1.5, "shortest"),
    ],
)
def test_a_damaged_file_is_named(gate, path, value, message):
    content = set_at(json.loads(json.dumps(to_json(gate))), path, value)
    with pytest.raises(InputError, match=message):
        from_json(content, "RUN/gate.json")


@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_whatever_is_changed_is_read_or_refused(gate, data):
    content = json.loads(json.dumps(to_json(gate)))
    path, inner = [], content
    while isinstance(inner, dict) and (not path or data.draw(st.booleans())):
        path.append(data.draw(st.sampled_from(sorted(inner))))
        inner = inner[path[-1]]
    junk = st.none() | st.integers() | st.floats() | st.text() | st.lists(st.integers())
    changed = set_at(content, path, data.draw(junk))
    with contextlib.suppress(InputError):
        from_json(changed)
