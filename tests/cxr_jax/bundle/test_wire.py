"""ONNX files that may not be opened: made by onnx itself, and at random."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxr_jax.bundle import wire
from tfds_builders.common.errors import InputError

onnx = pytest.importorskip("onnx", reason="the extra [export] is not installed")
helper = pytest.importorskip("onnx.helper")


def model(nodes=None, initializers=(), opsets=(("", 20),), **more):
    image = helper.make_tensor_value_info("x", 1, [1, 2])
    result = helper.make_tensor_value_info("y", 1, [1, 2])
    nodes = [helper.make_node("Relu", ["x"], ["y"])] if nodes is None else nodes
    graph = helper.make_graph(nodes, "g", [image], [result], list(initializers))
    imports = [helper.make_opsetid(*each) for each in opsets]
    return helper.make_model(graph, opset_imports=imports, **more)


def external():
    tensor = helper.make_tensor("w", 1, [2], [1.0, 2.0])
    tensor.ClearField("float_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")
    return tensor


def test_a_plain_model_is_taken():
    weights = helper.make_tensor("w", 1, [2], [1.0, 2.0])
    wire.check(model(initializers=[weights]).SerializeToString(), "model.onnx")


def test_constants_in_other_files_are_refused():
    node = helper.make_node("Constant", [], ["y"], value=external())
    for each in (model(initializers=[external()]), model([node])):
        with pytest.raises(InputError, match="another file"):
            wire.check(each.SerializeToString(), "model.onnx")


def test_graphs_within_nodes_are_refused():
    inner = model().graph
    node = helper.make_node("Loop", ["n", "c", "x"], ["y"], body=inner)
    with pytest.raises(InputError, match="graph within"):
        wire.check(model([node]).SerializeToString(), "model.onnx")


def test_functions_are_refused():
    function = helper.make_function("a", "f", ["x"], ["y"], [], [])
    with pytest.raises(InputError, match="functions"):
        wire.check(model(functions=[function]).SerializeToString(), "model.onnx")


def test_operators_of_others_are_refused():
    node = helper.make_node("Run", ["x"], ["y"], domain="evil")
    for each in (model([node]), model(opsets=(("", 20), ("evil", 1)))):
        with pytest.raises(InputError, match="evil"):
            wire.check(each.SerializeToString(), "model.onnx")


@given(st.binary(max_size=200))
def test_random_bytes_are_refused(data):
    with pytest.raises(InputError, match=r"model\.onnx"):
        wire.check(data, "model.onnx")


@given(st.data())
def test_a_damaged_model_is_taken_or_refused(data):
    """Never another error: the bytes of a good one, some of them changed."""
    made = bytearray(
        model([helper.make_node("Relu", ["x"], ["y"])]).SerializeToString()
    )
    for _ in range(data.draw(st.integers(1, 5))):
        place = data.draw(st.integers(0, len(made) - 1))
        made[place] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(1, len(made)))
    try:
        wire.check(bytes(made[:end]), "model.onnx")
    except InputError as error:
        assert "model.onnx" in str(error)
