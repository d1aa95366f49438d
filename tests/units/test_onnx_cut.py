"""Models cut at an inner tensor: the same values, and nothing computed after it."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from entcomp.units.onnx_cut import Model


@pytest.fixture(scope="module")
def content() -> bytes:
    """``c = (x + w)^2 * v``, with the square as an inner tensor, and a branch to nowhere."""
    weights = {name: np.full(200, value, np.float32) for name, value in (("w", 3), ("v", 5))}
    nodes = [
        helper.make_node("Add", ["x", "w"], ["a"]),
        helper.make_node("Mul", ["a", "a"], ["b"], name="square"),
        helper.make_node("Neg", ["a"], ["nowhere"]),
        helper.make_node("Mul", ["b", "v"], ["c"]),
    ]
    x, c = (helper.make_tensor_value_info(one, TensorProto.FLOAT, [200]) for one in "xc")
    stored = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    model = helper.make_model(
        helper.make_graph(nodes, "graph", [x], [c], stored),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    return model.SerializeToString()


def test_what_is_left(content: bytes) -> None:
    assert Model(content).outputs() == ["c"]
    assert Model(content).tensors() == {"a", "b", "nowhere", "c"}
    found = onnx.load_from_string(Model(content).cut_at("b"))
    assert [one.op_type for one in found.graph.node] == ["Add", "Mul"]
    assert [one.name for one in found.graph.initializer] == ["w"]
    assert [one.name for one in found.graph.output] == ["b"]
    assert found.graph.output[0].type.tensor_type.elem_type == TensorProto.FLOAT
    whole = onnx.load_from_string(content)
    assert found.opset_import == whole.opset_import
    assert list(found.graph.input) == list(whole.graph.input)
    assert list(found.graph.node) == list(whole.graph.node)[:2]
    assert found.graph.initializer[0] == whole.graph.initializer[0]


def test_values(content: bytes) -> None:
    x = np.arange(200, dtype=np.float32)
    for tensor, expected in (("a", x + 3), ("b", (x + 3) ** 2), ("c", 5 * (x + 3) ** 2)):
        session = onnxruntime.InferenceSession(Model(content).cut_at(tensor))
        (found,) = session.run(None, {"x": x})
        np.testing.assert_array_equal(found, expected)


def test_a_file_that_is_cut_short_is_no_model(content: bytes) -> None:
    end = content.index(b"square")
    for length in range(end):
        with pytest.raises(ValueError, match=r"cut short|no graph"):
            Model(content[:length])


def test_what_is_no_protocol_buffer() -> None:
    for text in (b"this is no model", b"\x0f", b"\xff" * 20):
        with pytest.raises(ValueError, match=r"written as|cut short|no graph"):
            Model(text)
