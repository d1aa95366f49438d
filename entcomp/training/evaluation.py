"""Metrics of a model on a finite sequence of batches."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from pytorch_lightning.utilities import move_data_to_device
from torch import nn

from entcomp.training.config import TrainingConfig


class DevBatches(Protocol):
    """A finite sequence of batches; a list will do."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


def training_device() -> torch.device:
    """The GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def in_bfloat16(device: torch.device, config: TrainingConfig) -> bool:
    """Whether the config asks for bfloat16 and the device, a GPU or a late CPU, computes in it."""
    if config.precision != "bfloat16":
        return False
    able = torch.cpu.get_capabilities()
    return device.type == "cuda" or bool(able.get("avx512_bf16") or able.get("amx_bf16"))


def autocast(device: torch.device, config: TrainingConfig) -> torch.autocast:
    """bfloat16 arithmetic where `in_bfloat16`."""
    return torch.autocast(device.type, torch.bfloat16, enabled=in_bfloat16(device, config))


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
            values = dict(model.loss(move_data_to_device(batches[index], device)))  # type: ignore[operator]
        count = torch.as_tensor(values.pop("count", 1.0), dtype=torch.float64, device=device)
        for name, value in (values | {"count": torch.ones_like(count)}).items():
            sums[name] = sums.get(name, 0.0) + value.double() * count
    model.train(training)
    if world_size > 1:
        for name in sorted(sums):
            torch.distributed.all_reduce(sums[name])
    count = sums.pop("count")
    return {name: (total / count).item() for name, total in sums.items()}
