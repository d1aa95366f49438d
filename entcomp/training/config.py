"""How to train: the part of every model's config that the loop reads."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Len

from entcomp.config import Config

# Keys that the result does not depend on, save for rounding.
MACHINE_KEYS = {"devices", "num_nodes", "num_workers", "compile", "log_interval"}
# Keys that may differ between a run and its resumption; any other makes it another run.
FREE_KEYS = MACHINE_KEYS | {"max_steps", "patience"}


class TrainingConfig(Config):
    """Steps are optimiser steps.

    ``compile`` takes effect on a GPU only, ``bfloat16`` also on a CPU that has instructions for it.
    """

    seed: Annotated[int, Ge(0)] = 0
    max_steps: Annotated[int, Gt(0)] = 10_000
    learning_rate: Annotated[float, Gt(0)] = 3e-4
    weight_decay: float = 0.01  # of matrices; gains and biases have none
    betas: Annotated[list[float], Len(2, 2)] = [0.9, 0.999]  # noqa: RUF012 - frozen, never changed
    eps: float = 1e-8
    warmup_steps: int = 500
    final_lr_ratio: float = 0.1  # the cosine ends at this part of learning_rate
    clip_norm: float | None = 1.0  # of the gradient
    accumulate: Annotated[int, Gt(0)] = 1  # batches a step
    val_interval: Annotated[int, Gt(0)] = 500  # steps between dev evaluations and checkpoints
    log_interval: Annotated[int, Gt(0)] = 50
    monitor: str = "loss"  # the dev metric that decides; lower is better
    patience: Annotated[int, Gt(0)] | None = None  # evaluations without a better one: stop
    keep_best: Annotated[int, Gt(0)] = 1  # checkpoints whose weights are averaged at the end
    precision: Literal["float32", "bfloat16"] = "float32"
    compile: bool = False
    devices: Annotated[int, Gt(0)] = 1  # GPUs, or CPU processes, a node
    num_nodes: Annotated[int, Gt(0)] = 1
    num_workers: int = 0  # processes that make batches

    def learning_rate_factor(self, step: int) -> float:
        """Linear warm-up, then a cosine from 1 to ``final_lr_ratio`` at ``max_steps``."""
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        left = max(1, self.max_steps - self.warmup_steps)
        cosine = 0.5 + 0.5 * math.cos(math.pi * min(1.0, (step - self.warmup_steps) / left))
        return self.final_lr_ratio + (1.0 - self.final_lr_ratio) * cosine

    def without(self, keys: set[str]) -> dict[str, Any]:
        """The settings as JSON, less some."""
        return self.model_dump(mode="json", exclude=keys)
