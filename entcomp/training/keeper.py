"""Dev evaluation, checkpoints that survive a kill at any moment, and early stopping."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from entcomp.errors import EntcompError
from entcomp.files import naming_file
from entcomp.training.config import TrainingConfig
from entcomp.training.evaluation import DevBatches, evaluate
from entcomp.training.log import RunLog
from entcomp.training.weights import write_weights


class Keeper(pl.Callback):
    """Every ``val_interval`` steps, and after the last: evaluate, keep the best, write last.ckpt.

    ``last.ckpt`` holds everything, and names the kept weights. These are written before it and
    deleted after it, so that whichever ``last.ckpt`` a kill leaves, its files are there.
    """

    def __init__(
        self, folder: Path, dev: DevBatches, config: TrainingConfig, run_log: RunLog
    ) -> None:
        if not len(dev):
            raise ValueError("a dev set is needed: it decides what is kept")
        self.folder = folder
        self.dev = dev
        self.config = config
        self.run_log = run_log
        self.step = 0
        self.best: list[tuple[float, int]] = []  # (dev metric, step), best first
        self.stale = 0  # evaluations since the best one

    @property
    def last(self) -> Path:
        return self.folder / "last.ckpt"

    def kept_files(self) -> list[Path]:
        """The best weights, in order of steps."""
        return [self._weights(step) for _, step in sorted(self.best, key=lambda one: one[1])]

    def is_done(self) -> bool:
        """True if the run that ``last.ckpt`` holds, if any, has nothing left to do."""
        if self.last.exists():
            checkpoint = torch.load(self.last, map_location="cpu", weights_only=False, mmap=True)
            self.load_state_dict(checkpoint["callbacks"][self.state_key])
        return self.step >= self.config.max_steps or self._is_stale()

    def state_dict(self) -> dict[str, Any]:
        return {"step": self.step, "best": self.best, "stale": self.stale}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.step, self.best, self.stale = (state_dict[key] for key in ("step", "best", "stale"))

    def on_train_batch_end(self, trainer: pl.Trainer, module: Any, *_: Any) -> None:
        step = trainer.global_step
        due = step % self.config.val_interval == 0 or step >= self.config.max_steps
        if not due or step == self.step:  # the same step again while gradients accumulate
            return
        metrics = evaluate(
            module.model,
            self.dev,
            self.config,
            module.device,
            trainer.global_rank,
            trainer.world_size,
        )
        self.run_log.dev(step, metrics)
        self._update(step, self._monitored(metrics))
        self._save(trainer, module)
        trainer.should_stop = self._is_stale()

    def _monitored(self, metrics: dict[str, float]) -> float:
        name = self.config.monitor
        if name not in metrics:
            raise EntcompError(f"training.monitor: no metric '{name}'; one of {', '.join(metrics)}")
        if not math.isfinite(metrics[name]):
            raise EntcompError(
                f"{self.folder.parent}: the dev {name} is {metrics[name]}; "
                f"lower training.learning_rate"
            )
        return metrics[name]

    def _update(self, step: int, value: float) -> None:
        improved = not self.best or value < self.best[0][0]
        self.stale = 0 if improved else self.stale + 1
        self.best = sorted([*self.best, (value, step)])[: self.config.keep_best]
        self.step = step

    def _save(self, trainer: pl.Trainer, module: Any) -> None:
        kept = self.kept_files()
        if trainer.is_global_zero and self._weights(self.step) in kept:
            write_weights(self._weights(self.step), module.model.state_dict())
        temporary = self.folder / ".last.ckpt.tmp"
        with naming_file(self.last):
            trainer.save_checkpoint(temporary)  # by all ranks; the first one writes
        if trainer.is_global_zero:
            os.replace(temporary, self.last)
            for path in set(self.folder.glob("step-*.safetensors")) - set(kept):
                path.unlink()

    def _weights(self, step: int) -> Path:
        return self.folder / f"step-{step:08d}.safetensors"

    def _is_stale(self) -> bool:
        return self.config.patience is not None and self.stale >= self.config.patience
