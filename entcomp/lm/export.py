"""The entropy LM as ``model.onnx``: the graph of `entcomp.lm.model`, to run without torch.

One sequence at a time; shape suffixes as there, P tokens that were read before. Inputs: ``tokens``
(T,) int64; ``first`` (1,) int64, the token from which on entropies are wanted; ``past_key_<l>`` and
``past_value_<l>`` (H, P, E) of each layer, P = 0 at the beginning. Outputs: ``entropies`` (T -
first,), and ``key_<l>`` and ``value_<l>`` (H, P + T, E), which are the past of the tokens to come.

What is unusual:
- The weights stay in model.safetensors, which the file points into; it has the graph only. Its
  metadata name the SHA-256 of those weights.
- Before its attention, the first block depends on a token alone: onnxruntime computes queries, keys
  and values of the K + 1 tokens once, when it loads the file.
- The last block and the head read the tokens from ``first`` on, as the others' entropies are not
  wanted: half of them, where spans share half of their units.
- RMSNorm, RoPE and SiLU are operators of onnxruntime's own, as fused ones are faster.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from entcomp.artifacts.models import WEIGHTS
from entcomp.encoder.rotary import frequencies
from entcomp.errors import EntcompError
from entcomp.files import atomic_path
from entcomp.lm.checkpoint import LMInfo
from entcomp.lm.config import LMConfig
from entcomp.lm.model import NORM_EPS, UnitLM, entropies
from entcomp.lm.onnx_lm import LM_KEY, ONNX, OnnxLM
from entcomp.lm.packed import Packed

OPSET, IR_VERSION = 17, 8  # old enough for any onnxruntime that has the operators
MICROSOFT = "com.microsoft"  # the domain of onnxruntime's operators
END = 1 << 62  # of a slice: the end
TOLERANCE = 1e-4  # nats, from torch's entropies
CHECKED = 256  # tokens to compare them on


def export_onnx(folder: Path, config: LMConfig, lm: LMInfo) -> Path:
    """Write ``model.onnx`` beside the weights in ``folder``; equal LMs are equal bytes.

    Raises EntcompError, and writes nothing, if its entropies are not torch's, and where the weights
    are a link, which onnxruntime does not follow out of the folder.
    """
    if (folder / WEIGHTS).is_symlink():
        raise EntcompError(f"{folder / WEIGHTS}: {ONNX} needs a file here; link the folder instead")
    model = UnitLM.load(folder / WEIGHTS, config, lm.num_clusters)
    proto = _Graph(folder / WEIGHTS, config).build()
    proto.metadata_props.add(key=LM_KEY, value=lm.lm_sha256)
    with atomic_path(folder / ONNX) as temporary:
        temporary.write_bytes(proto.SerializeToString())
        difference = _difference(OnnxLM(temporary, config, lm), model)
        if not difference <= TOLERANCE:
            raise EntcompError(
                f"{folder / ONNX}: onnxruntime's entropies are {difference:.1e} nats off torch's; "
                "install another onnxruntime and run again"
            )
    return folder / ONNX


@torch.inference_mode()
def _difference(exported: OnnxLM, model: UnitLM) -> float:
    """The largest, in nats: of a sequence at once, of its end, and of its end with a cache."""
    length = min(CHECKED, exported.config.context)
    tokens = np.random.default_rng(0).integers(0, model.num_clusters, length)
    tokens[0], half = model.num_clusters, length // 2
    expected = entropies(model(Packed.pack([tokens], [tokens]))).numpy()
    _, cache = exported.step(tokens[:half], exported.empty_cache)
    last, _ = exported.step(tokens[half:], cache)
    found = [exported.entropies(tokens), exported.entropies(tokens, half), np.array([last])]
    return max(float(np.abs(one - expected[-len(one) :]).max()) for one in found)


class _Graph:
    """Builds the graph, an operator a call, each of which returns the name of its output."""

    def __init__(self, weights: Path, config: LMConfig) -> None:
        self.config = config
        self.channels = config.dim // config.heads  # of a head
        self.weights = weights
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        with open(weights, "rb") as stream:
            size = int.from_bytes(stream.read(8), "little")
            self._header: dict[str, Any] = json.loads(stream.read(size))
        self._begin = 8 + size

    def build(self) -> onnx.ModelProto:
        """All of the model."""
        heads, channels = self.config.heads, self.channels
        self._place_tokens()
        x_TD = self.op("Gather", self.weight("embedding.weight"), "tokens")
        for layer in range(self.config.layers):
            x_TD = self._block(layer, x_TD)
        logits = self.linear(self.norm(x_TD, "norm.weight"), self.weight("head.weight"))
        log_p = self.op("LogSoftmax", logits, axis=-1)
        weighted = self.op("Mul", self.op("Exp", log_p), log_p)
        total = self.op("ReduceSum", weighted, self.integers(-1), keepdims=0)
        self.op("Neg", total, output="entropies")
        kinds = [(kind, one) for one in range(self.config.layers) for kind in ("key", "value")]
        inputs = [_value("tokens", "T", kind=TensorProto.INT64)]
        inputs += [_value("first", 1, kind=TensorProto.INT64)]
        inputs += [_value(f"past_{kind}_{one}", heads, "P", channels) for kind, one in kinds]
        outputs = [_value("entropies", "R")]
        outputs += [_value(f"{kind}_{one}", heads, "P + T", channels) for kind, one in kinds]
        graph = helper.make_graph(self.nodes, "entropy_lm", inputs, outputs, self.initializers)
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)]
        return helper.make_model(
            graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="entcomp"
        )

    def _place_tokens(self) -> None:
        """What all layers share: the cosines and sines of RoPE, and the causal mask."""
        past = self.op("Shape", "past_key_0", start=1, end=2)
        total = self.op("Add", past, self.op("Shape", "tokens"))
        bounds = (self.constant(np.int64(0)), self.op("Squeeze", total), self.constant(np.int64(1)))
        columns = self.op("Range", *bounds)
        rows = self.op("Slice", columns, past, self.integers(END))
        rows = self.op("Unsqueeze", rows, self.integers(1))
        turns = self.constant(frequencies(self.channels).numpy())
        angles = self.op("Mul", self.op("Cast", rows, to=TensorProto.FLOAT), turns)
        self.rope = (self.op("Cos", angles), self.op("Sin", angles))
        shown, hidden = (self.constant(np.float32(one)) for one in (0, -np.inf))
        self.mask = self.op("Where", self.op("LessOrEqual", columns, rows), shown, hidden)

    def _block(self, layer: int, x_TD: str) -> str:
        """`model.Block`; the last one returns the tokens from ``first`` on."""
        prefix, ffn_dim = f"blocks.{layer}.", self.config.ffn_dim
        mixed = self._attention(layer, x_TD)
        if layer == self.config.layers - 1:
            x_TD = self.from_first(x_TD, axis=0)
        added = self.linear(mixed, self.weight(f"{prefix}attention.output.weight"))
        x_TD = self.op("Add", x_TD, added)
        normed = self.norm(x_TD, f"{prefix}ffn_norm.weight")
        gate_up = f"{prefix}ffn.gate_up.weight"
        gate = self.linear(normed, self.weight(gate_up, 0, ffn_dim))
        up = self.linear(normed, self.weight(gate_up, ffn_dim, 2 * ffn_dim))
        silu = self.op("QuickGelu", gate, domain=MICROSOFT, alpha=1.0)
        down = self.linear(self.op("Mul", silu, up), self.weight(f"{prefix}ffn.down.weight"))
        return self.op("Add", x_TD, down)

    def _attention(self, layer: int, x_TD: str) -> str:
        """`model.Attention` but for its output projection: (T, D), or from ``first`` on."""
        dim, heads, mask = self.config.dim, self.config.heads, self.mask
        qk, v = self._before_attention(layer, x_TD)
        batch, start = self.op("Unsqueeze", qk, self.integers(0)), self.integers(0)
        qk = self.op(
            "RotaryEmbedding", batch, start, *self.rope, domain=MICROSOFT, num_heads=2 * heads
        )
        q, k = self.split(self.by_head(qk, 2 * heads), heads)
        k = self.op("Concat", f"past_key_{layer}", k, axis=1, output=f"key_{layer}")
        v = self.by_head(v, heads)
        v = self.op("Concat", f"past_value_{layer}", v, axis=1, output=f"value_{layer}")
        if layer == self.config.layers - 1:
            q, mask = self.from_first(q, axis=1), self.from_first(mask, axis=0)
        scores = self.op("MatMul", q, self.op("Transpose", k, perm=[0, 2, 1]))
        scale = self.constant(np.float32(self.channels**-0.5))
        scores = self.op("Add", self.op("Mul", scores, scale), mask)
        mixed = self.op("MatMul", self.op("Softmax", scores, axis=-1), v)
        mixed = self.op("Transpose", mixed, perm=[1, 0, 2])
        return self.op("Reshape", mixed, self.integers(-1, dim))

    def _before_attention(self, layer: int, x_TD: str) -> list[str]:
        """Queries and keys (T, 2 D), and values (T, D)."""
        dim = self.config.dim
        norm, qkv = (f"blocks.{layer}.{one}.weight" for one in ("attention_norm", "attention.qkv"))
        weights = (self.weight(qkv, 0, 2 * dim), self.weight(qkv, 2 * dim, 3 * dim))
        if layer > 0:
            normed = self.norm(x_TD, norm)
            return [self.linear(normed, one) for one in weights]
        normed = self.norm("embedding.weight", norm)
        return [self.op("Gather", self.linear(normed, one), "tokens") for one in weights]

    def by_head(self, x_TD: str, heads: int) -> str:
        """(T, D) to (H, T, E)"""
        x_THE = self.op("Reshape", x_TD, self.integers(-1, heads, self.channels))
        return self.op("Transpose", x_THE, perm=[1, 0, 2])

    def split(self, qk: str, heads: int) -> tuple[str, str]:
        """Queries and keys, each (H, T, E)."""
        q = self.op("Slice", qk, self.integers(0), self.integers(heads))
        return q, self.op("Slice", qk, self.integers(heads), self.integers(END))

    def from_first(self, x: str, axis: int) -> str:
        """Of the tokens along an axis, those from ``first`` on."""
        return self.op("Slice", x, "first", self.integers(END), self.integers(axis))

    def norm(self, x_TD: str, weight: str) -> str:
        return self.op(
            "SimplifiedLayerNormalization", x_TD, self.weight(weight), axis=-1, epsilon=NORM_EPS
        )

    def linear(self, x_TD: str, weight: str) -> str:
        return self.op("Gemm", x_TD, weight, transB=1)

    def op(
        self, kind: str, *inputs: str, output: str = "", domain: str = "", **attributes: Any
    ) -> str:
        output = output or f"{kind}_{len(self.nodes)}"
        node = helper.make_node(kind, inputs, [output], domain=domain, **attributes)
        self.nodes.append(node)
        return output

    def constant(self, value: np.ndarray | np.generic) -> str:
        name = f"constant_{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def integers(self, *values: int) -> str:
        return self.constant(np.array(values, np.int64))

    def weight(self, name: str, first: int = 0, last: int | None = None) -> str:
        """Rows of a matrix, or all of a tensor, in the file of weights."""
        stored = self._header[name]
        rows, *others = stored["shape"]
        last = rows if last is None else last
        row = int(np.prod(others, dtype=np.int64)) * np.dtype(np.float32).itemsize
        part = name if (first, last) == (0, rows) else f"{name}[{first}:{last}]"
        if part not in (one.name for one in self.initializers):
            place = {
                "location": self.weights.name,
                "offset": self._begin + stored["data_offsets"][0] + first * row,
                "length": (last - first) * row,
            }
            tensor = TensorProto(
                name=part,
                data_type=TensorProto.FLOAT,
                dims=[last - first, *others],
                data_location=TensorProto.EXTERNAL,
            )
            for key, value in place.items():
                tensor.external_data.add(key=key, value=str(value))
            self.initializers.append(tensor)
        return part


def _value(name: str, *shape: int | str, kind: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)
