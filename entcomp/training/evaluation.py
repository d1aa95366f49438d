"""Metrics of a model on a finite sequence of batches."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from entcomp.training.config import TrainingConfig


class DevBatches(Protocol):
    """A finite sequence of batches; a list will do."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


def training_device() -> torch.device:
    """The GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def to_device(batch: Any, device: torch.device) -> Any:
    """A tensor, an object with ``to(device)``, or dicts and lists of them; others as they are."""
    if isinstance(batch, dict):
        return {name: to_device(one, device) for name, one in batch.items()}
    if isinstance(batch, (list, tuple)):
        return type(batch)(to_device(one, device) for one in batch)
    return batch.to(device) if hasattr(batch, "to") else batch


def in_bfloat16(device: torch.device, config: TrainingConfig) -> bool:
    """Whether the config asks for bfloat16 and the device, a GPU or a late CPU, computes in it."""
    if config.precision != "bfloat16":
        return False
    able = torch.cpu.get_capabilities()
    return device.type == "cuda" or bool(able.get("avx512_bf16") or able.get("amx_bf16"))


def autocast(device: torch.device, config: TrainingConfig) -> torch.autocast:
    """bfloat16 arithmetic where `in_bfloat16`."""
    return torch.autocast(device.type, torch.bfloat16, enabled=in_bfloat16(device, config))


def warn_unsupported(config: TrainingConfig, device: torch.device, folder: Path) -> None:
    """Tell on stderr what the config asks for and the device cannot do."""
    if config.compile and device.type != "cuda":
        print(f"{folder}: no GPU: not compiled", file=sys.stderr)
    if config.precision == "bfloat16" and not in_bfloat16(device, config):
        print(f"{folder}: no bfloat16 on this CPU: float32 instead", file=sys.stderr)


@torch.no_grad()
def evaluate(
    model: nn.Module,
    batches: DevBatches,
    config: TrainingConfig,
    device: torch.device,
    rank: int = 0,
    world_size: int = 1,
) -> dict[str, float]:
    """Means of what ``model.loss`` returns in eval mode, weighted by its ``"count"``.

    Ranks share the batches, and each receives the means over all of them.
    """
    if len(batches) < world_size:
        rank, world_size = 0, 1
    training = model.training
    model.eval()
    sums: dict[str, torch.Tensor] = {}
    for index in range(rank, len(batches), world_size):
        with autocast(device, config):
            values = dict(model.loss(to_device(batches[index], device)))  # type: ignore[operator]
        count = torch.as_tensor(values.pop("count", 1.0), dtype=torch.float64, device=device)
        for name, value in (values | {"count": torch.ones_like(count)}).items():
            sums[name] = sums.get(name, 0.0) + value.double() * count
    model.train(training)
    if world_size > 1:
        for name in sorted(sums):
            torch.distributed.all_reduce(sums[name])
    count = sums.pop("count")
    return {name: (total / count).item() for name, total in sums.items()}
