"""An ONNX file that makes features of a waveform by one convolution."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SHIFT, FIELD, DIM = 160, 400, 6


def write_model(path: Path, pads: tuple[int, int] = (0, 0), samples: int | str = "samples") -> Path:
    """``frames`` is a convolution, ``hidden`` what it is the square of, both (1, frames, dim)."""
    weight = np.random.default_rng(0).normal(size=(DIM, 1, FIELD)).astype(np.float32)
    nodes = [
        helper.make_node("Unsqueeze", ["wave", "axis"], ["wide"]),
        helper.make_node("Conv", ["wide", "weight"], ["deep"], strides=[SHIFT], pads=pads),
        helper.make_node("Transpose", ["deep"], ["hidden"], perm=[0, 2, 1]),
        helper.make_node("Mul", ["hidden", "hidden"], ["frames"]),
    ]
    wave = helper.make_tensor_value_info("wave", TensorProto.FLOAT, [1, samples])
    frames = helper.make_tensor_value_info("frames", TensorProto.FLOAT, None)
    stored = [
        numpy_helper.from_array(weight, "weight"),
        numpy_helper.from_array(np.array([1], np.int64), "axis"),
    ]
    graph = helper.make_graph(nodes, "graph", [wave], [frames], stored)
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path
