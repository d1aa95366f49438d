"""Weights in safetensors files: written complete or not at all, averaged, read back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from entcomp.errors import EntcompError
from entcomp.files import atomic_path


def write_weights(
    path: Path, weights: dict[str, Tensor], metadata: dict[str, str] | None = None
) -> None:
    """Write a state dict, and texts about it; equal weights are equal bytes."""
    on_cpu = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in weights.items()}
    with atomic_path(path) as temporary:
        temporary.write_bytes(save(on_cpu, metadata))


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a state dict. Raises EntcompError for a missing or broken file."""
    try:
        return load_file(path)
    except FileNotFoundError:
        raise EntcompError(f"{path}: no such file; train the model first") from None
    except SafetensorError as error:
        raise EntcompError(f"{path}: not safetensors ({error}); train the model again") from None


def load_weights(model: nn.Module, path: Path) -> None:
    """Load a file into ``model``. Raises EntcompError if they do not fit."""
    try:
        model.load_state_dict(read_weights(path))
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise EntcompError(f"{path}: weights of another model ({reason})") from None


def write_mean(path: Path, sources: Sequence[Path]) -> None:
    """Average the weights of several files; counters and the like are those of the last."""
    mean = read_weights(sources[0])
    for count, source in enumerate(sources[1:], start=2):
        for name, tensor in read_weights(source).items():
            if torch.is_floating_point(tensor):
                mean[name] += (tensor - mean[name]) / count
            else:
                mean[name] = tensor
    write_weights(path, mean)
