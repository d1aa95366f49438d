"""A small model with dropout, trained by `fit`; also a program, to run it in several processes."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from entcomp.config import make_config
from entcomp.training.loop import FitResult, TrainingConfig, fit

SIZE = 8


class Toy(nn.Module):
    def __init__(self, dropout: float = 0.3) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(SIZE, 16), nn.Tanh(), nn.Dropout(dropout), nn.Linear(16, 1)
        )
        self.unused = nn.Linear(SIZE, 1)  # as CTC's head is by translators

    def loss(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        error = self.layers(batch["x"]).squeeze(1) - batch["y"]
        return {
            "loss": error.square().mean(),
            "absolute": error.abs().mean(),
            "count": torch.tensor(len(error)),
        }


class ToyBatches:
    """Global batches of eight pairs, of which each rank takes its part.

    ``disturb(step, rank)`` is called before each.
    """

    def __init__(self, disturb: Callable[[int, int], object] = lambda step, rank: None) -> None:
        self.disturb = disturb

    def batch(self, step: int, rank: int = 0, world_size: int = 1) -> dict[str, Tensor]:
        self.disturb(step, rank)
        generator = torch.Generator().manual_seed(1000 + step)
        x = torch.randn(8, SIZE, generator=generator)[rank::world_size]
        return {"x": x, "y": x.sum(dim=1)}


def toy_dev() -> list[dict[str, Tensor]]:
    return [ToyBatches().batch(-step) for step in range(1, 4)]


def run_toy(
    folder: Path, batches: ToyBatches | None = None, dropout: float = 0.3, **settings: object
) -> FitResult:
    defaults = {"max_steps": 60, "val_interval": 10, "log_interval": 1, "warmup_steps": 5}
    values = defaults | {"learning_rate": 0.02, "keep_best": 2} | settings
    config = make_config(TrainingConfig, values, "toy")
    torch.manual_seed(config.seed)
    batches = batches or ToyBatches()
    return fit(Toy(dropout), batches, toy_dev(), config, folder, {"data": "toy"})


def fail(step: int, rank: int) -> None:
    """The second rank is lost at step 5."""
    if (step, rank) == (5, 1):
        sys.exit("the second rank says why")


def vanish(step: int, rank: int) -> None:
    if (step, rank) == (5, 1):
        os.kill(os.getpid(), signal.SIGKILL)


def terminate(step: int, rank: int) -> None:
    """The first rank is told to end at step 5."""
    os.write(2, f"{os.getpid()}\n".encode())  # at once, as two processes write here
    if (step, rank) == (5, 0):
        os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    extra = dict(pair.split("=") for pair in sys.argv[2:])
    disturb = globals().get(extra.pop("disturb", ""), ToyBatches().disturb)
    values = {name: float(one) if "." in one else int(one) for name, one in extra.items()}
    run_toy(Path(sys.argv[1]), ToyBatches(disturb), **values)
