"""Cut an ONNX model at an inner tensor, so that onnxruntime computes nothing after it.

onnxruntime computes all nodes of a file, also those that no output needs. The onnx package could
remove them, but is 60 MB for the sake of a few fields: an ONNX file is a protocol buffer, and a
message is a row of fields, each a key (its number times 8, plus how its value is written) and the
value. Numbers of fields are those of onnx.proto.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

MODEL_GRAPH = 7
GRAPH_NODE, GRAPH_INITIALIZER, GRAPH_OUTPUT = 1, 5, 12
NODE_INPUT, NODE_OUTPUT = 1, 2
TENSOR_NAME, VALUE_NAME = 8, 1
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # how a value is written
# ValueInfoProto.type: a float32 tensor, of a shape that is not told.
FLOAT_TENSOR = bytes([2 << 3 | BYTES, 4, 1 << 3 | BYTES, 2, 1 << 3 | VARINT, 1])


class Field(NamedTuple):
    """A field of a message: its number, its value where that is bytes, and all that it takes."""

    number: int
    value: memoryview
    written: memoryview


class Model:
    """The bytes of an ONNX file without nested graphs. Raises ValueError for what is none."""

    def __init__(self, content: bytes) -> None:
        self._model = list(_fields(memoryview(content)))
        graphs = [one.value for one in self._model if one.number == MODEL_GRAPH]
        if len(graphs) != 1:
            raise ValueError("no graph")
        self._graph = list(_fields(graphs[0]))
        self._nodes = [one for one in self._graph if one.number == GRAPH_NODE]

    def tensors(self) -> set[str]:
        """Names of all that the nodes compute."""
        return {name for node in self._nodes for name in _names(node, NODE_OUTPUT)}

    def outputs(self) -> list[str]:
        """Names of those that the model gives of itself."""
        fields = (one for one in self._graph if one.number == GRAPH_OUTPUT)
        return [name for one in fields for name in _names(one, VALUE_NAME)]

    def cut_at(self, tensor: str) -> bytes:
        """A model with that float32 tensor as its output, and nothing that it does not need."""
        needed: set[str] = {tensor}
        kept: list[bytes | memoryview] = [
            _write(GRAPH_OUTPUT, _write(VALUE_NAME, tensor.encode()) + FLOAT_TENSOR)
        ]
        for node in reversed(self._nodes):  # which stand in the order of computing
            if needed & set(_names(node, NODE_OUTPUT)):
                needed.update(_names(node, NODE_INPUT))
                kept.append(node.written)
        for field in self._graph:
            is_needed = field.number not in (GRAPH_NODE, GRAPH_OUTPUT)
            if field.number == GRAPH_INITIALIZER:
                is_needed = bool(needed & set(_names(field, TENSOR_NAME)))
            if is_needed:
                kept.append(field.written)
        others = [one.written for one in self._model if one.number != MODEL_GRAPH]
        return b"".join([*others, _write(MODEL_GRAPH, b"".join(reversed(kept)))])


def _names(message: Field, number: int) -> list[str]:
    """The strings of a message in fields of one number."""
    return [str(one.value, "utf-8") for one in _fields(message.value) if one.number == number]


def _fields(message: memoryview) -> Iterator[Field]:
    place = 0
    while place < len(message):
        begin = place
        key, place = _read_varint(message, place)
        kind, size = key & 7, 0
        if kind == VARINT:
            _, place = _read_varint(message, place)
        elif kind == BYTES:
            size, place = _read_varint(message, place)
        elif kind in (FIXED64, FIXED32):
            size = 8 if kind == FIXED64 else 4
        else:
            raise ValueError(f"a value written as {kind}")
        if place + size > len(message):
            raise ValueError("cut short")
        value = message[place : place + size]
        place += size
        yield Field(key >> 3, value, message[begin:place])


def _read_varint(message: memoryview, place: int) -> tuple[int, int]:
    """Seven bits a byte, the lowest first, and a high bit where another byte follows."""
    value = shift = 0
    while place < len(message):
        byte = message[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return value, place
    raise ValueError("cut short")


def _write(number: int, value: bytes) -> bytes:
    size, varint = len(value), bytearray()
    while size > 127:
        varint.append(size & 127 | 128)
        size >>= 7
    return bytes([number << 3 | BYTES, *varint, size]) + value
