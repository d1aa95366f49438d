"""Weights of HuBERT, WavLM and wav2vec 2.0 from files of several toolkits, by torchaudio's names.

fairseq's checkpoints and those made from them (s3prl's, WavLM's own) hold the same tensors as
torchaudio's models, under other names; no pickle in them is run. What else a file is, is said.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from entcomp.errors import EntcompError
from entcomp.formats.inert_pickle import UNREADABLE, Named, Names, RefusedError
from entcomp.formats.torch_file import Tensor, is_torch, read_torch

# What configurations in checkpoints are made of, and models that were saved with their code.
MODULES = (
    *("argparse", "collections", "enum", "numpy", "pathlib", "torch", "typing"),
    *("fairseq", "omegaconf", "s3prl", "torchaudio", "transformers"),
)
BUILTINS = (
    *("bool", "bytearray", "complex", "dict", "float", "frozenset", "int"),
    *("list", "object", "set", "slice", "str", "tuple"),
)
ALLOWED = Names(
    "checkpoint of a speech encoder",
    MODULES,
    frozenset({"_codecs.encode", "copy_reg._reconstructor", "copyreg._reconstructor"})
    | {f"{module}.{name}" for module in ("builtins", "__builtin__") for name in BUILTINS},
)

# Names of fairseq and what they are in torchaudio. Where fairseq's model stands in another, it has
# a prefix; what follows is what pre-training or a recogniser adds after the encoder.
PREFIXES = re.compile(r"(model\.|w2v_encoder\.|w2v_model\.)*")
ADDED = re.compile(
    r"(aux|final_proj|input_quantizer|label_embs_concat|mask_emb|proj|project_inp|project_q"
    r"|quantizer|target_glu)(\.|$)"
)
LAYER = r"encoder\.layers\.(\d+)\."
CONVOLUTION = r"feature_extractor\.conv_layers\.(\d+)\."
RENAMED = [
    (re.compile(pattern), renamed)
    for pattern, renamed in (
        (CONVOLUTION + r"0\.", r"feature_extractor.conv_layers.\1.conv."),
        (CONVOLUTION + r"2\.(1\.)?", r"feature_extractor.conv_layers.\1.layer_norm."),
        (r"layer_norm\.", "encoder.feature_projection.layer_norm."),
        (r"post_extract_proj\.", "encoder.feature_projection.projection."),
        (r"encoder\.pos_conv\.0\.", "encoder.transformer.pos_conv_embed.conv."),
        (r"encoder\.layer_norm\.", "encoder.transformer.layer_norm."),
        (
            LAYER + r"self_attn\.grep_a$",
            r"encoder.transformer.layers.\1.attention.gru_rel_pos_const",
        ),
        (LAYER + r"self_attn\.grep_", r"encoder.transformer.layers.\1.attention.gru_rel_pos_"),
        (
            LAYER + r"self_attn\.relative_attention_bias\.",
            r"encoder.transformer.layers.\1.attention.rel_attn_embed.",
        ),
        (LAYER + r"self_attn\.", r"encoder.transformer.layers.\1.attention."),
        (LAYER + r"self_attn_layer_norm\.", r"encoder.transformer.layers.\1.layer_norm."),
        (LAYER + r"fc1\.", r"encoder.transformer.layers.\1.feed_forward.intermediate_dense."),
        (LAYER + r"fc2\.", r"encoder.transformer.layers.\1.feed_forward.output_dense."),
        (LAYER, r"encoder.transformer.layers.\1."),
    )
]
# How torch spelt the two parts of a weight that is a direction and a length, and how it does now.
WEIGHT_NORM = {".weight_g": ".parametrizations.weight.original0"} | {
    ".weight_v": ".parametrizations.weight.original1"
}


class Weight(Protocol):
    """Values in a file."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def array(self) -> np.ndarray: ...


@dataclass(frozen=True)
class Stacked:
    """Several weights, one below the other."""

    parts: tuple[Weight, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        first = self.parts[0].shape
        return (sum(part.shape[0] for part in self.parts), *first[1:])

    def array(self) -> np.ndarray:
        """The values of all. Raises ValueError if their shapes do not fit each other."""
        return np.concatenate([part.array() for part in self.parts])


@dataclass(frozen=True)
class ForeignWeights:
    """``toolkit`` is whose file it is, ``family`` hubert, wavlm, wav2vec2, or empty if names do not
    tell; ``weights`` are by torchaudio's names.
    """

    toolkit: str
    family: str
    weights: Mapping[str, Weight]


def read_foreign_weights(path: Path) -> ForeignWeights:
    """Weights of an encoder, from a checkpoint of torchaudio, fairseq, WavLM's authors or s3prl.

    Raises EntcompError for any other file, which says what it is and what to do with it.
    """
    if _is_safetensors(path):
        raise EntcompError(f"{path}: safetensors, {_use_transformers(path)}")
    try:
        if not is_torch(path):
            raise ValueError("not a file of torch.save")
        saved = read_torch(path, ALLOWED)
        stored = {name: one for name, one in _weights(path, saved).items() if _is_weight(one)}
    except RefusedError as error:
        raise EntcompError(
            f"{path}: {error}; if you trust the file, save the state dict in it alone"
        ) from None
    except UNREADABLE as error:
        reason = str(error).split("\n")[0]
        raise EntcompError(
            f"{path}: not a checkpoint that torch.save has written ({reason})"
        ) from None
    return _identify(path, saved, stored)


def _weights(path: Path, saved: Any) -> dict[str, Any]:
    """The state dict in what was saved."""
    if isinstance(saved, Named):
        raise EntcompError(
            f"{path}: a model pickled with its code ({saved.name}), which is not run; "
            "save its weights: torch.save(model.state_dict(), FILE)"
        )
    if not isinstance(saved, dict):
        raise ValueError(f"holds a {type(saved).__name__}, no state dict")
    for key in ("model_weight", "model"):  # s3prl's, fairseq's
        if isinstance(saved.get(key), dict):
            return saved[key]
    return saved


def _is_weight(value: Any) -> bool:
    return isinstance(value, Tensor)


def _identify(path: Path, saved: dict[str, Any], stored: dict[str, Weight]) -> ForeignWeights:
    bare = {PREFIXES.sub("", name, count=1): weight for name, weight in stored.items()}
    if any(re.search(r"(?<!encoder\.)feature_projection\.", name) for name in stored):
        raise EntcompError(f"{path}: a state dict of transformers, {_use_transformers(path)}")
    if "feature_extractor.conv_layers.0.conv.weight" in bare:
        toolkit = "torchaudio"
    elif "feature_extractor.conv_layers.0.0.weight" in bare:
        toolkit = "s3prl" if "model_weight" in saved else "fairseq"
    else:
        held = ", ".join(sorted(map(str, stored or saved))[:3])
        raise EntcompError(
            f"{path}: holds no HuBERT, WavLM or wav2vec 2.0 of torchaudio, fairseq or s3prl, but "
            f"{held or 'nothing'}"
        )
    return ForeignWeights(toolkit, _family(bare), dict(_renamed(bare)))


def _family(names: Mapping[str, Any]) -> str:
    """Which model fairseq's names belong to: what pre-training leaves beside it tells."""
    if any(".grep_linear." in name or ".gru_rel_pos_linear." in name for name in names):
        return "wavlm"
    if any(name.startswith("quantizer.") for name in names):
        return "wav2vec2"
    if any(name.startswith(("label_embs_concat", "final_proj.")) for name in names):
        return "hubert"
    return ""


def _renamed(stored: Mapping[str, Weight]) -> Iterator[tuple[str, Weight]]:
    """Weights by torchaudio's names, without those that are not the encoder's."""
    names = {_rename(name): weight for name, weight in stored.items() if not ADDED.match(name)}
    gated = {name.rpartition("gru_rel_pos_const")[0] for name in names if "gru_rel" in name}
    for name, weight in names.items():
        attention, _, projection = name.rpartition("attention.")
        within = f"{attention}attention."
        if within not in gated or not re.match("[qkvo]", projection):
            yield name, weight
        elif projection.startswith("out_proj"):  # WavLM's own attention stands within another
            yield f"{within}attention.{projection}", weight
        elif projection.startswith("q_proj."):
            kind = projection.removeprefix("q_proj.")
            parts = tuple(names[f"{within}{one}_proj.{kind}"] for one in "qkv")
            yield f"{within}attention.in_proj_{kind}", Stacked(parts)


def _rename(name: str) -> str:
    for pattern, renamed in RENAMED:
        if pattern.match(name):
            name = pattern.sub(renamed, name, count=1)
            break
    for before, now in WEIGHT_NORM.items():
        if name.endswith(before):
            return name.removesuffix(before) + now
    return name


def _is_safetensors(path: Path) -> bool:
    """Whether a file begins with the length of a JSON object, and one."""
    with path.open("rb") as stream:
        start = stream.read(9)
    return path.suffix == ".safetensors" or (len(start) == 9 and start[6:] == b"\0\0{")


def _use_transformers(path: Path) -> str:
    return (
        "which goes with the config.json of its folder: "
        f"use --extractor transformers --checkpoint {path.parent}"
    )


def misfits(weights: Mapping[str, Weight], due: Mapping[str, tuple[int, ...]]) -> list[str]:
    """What keeps weights from being those of a model whose names and shapes are ``due``."""
    found = [f"{name} is missing" for name in due if name not in weights]
    found += [f"{name} is unknown" for name in weights if name not in due]
    return found + [
        f"{name} is {tuple(weights[name].shape)}, not {shape}"
        for name, shape in due.items()
        if name in weights and tuple(weights[name].shape) != shape
    ]


def load_arrays(path: Path, weights: Mapping[str, Weight]) -> dict[str, np.ndarray]:
    """The values of weights of that file, float32. Raises EntcompError if it is damaged."""
    try:
        return {key: one.array().astype(np.float32, copy=False) for key, one in weights.items()}
    except UNREADABLE as error:
        reason = str(error).split("\n")[0]
        raise EntcompError(
            f"{path}: damaged weights ({reason}); copy or download it again"
        ) from None
