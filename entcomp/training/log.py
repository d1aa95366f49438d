"""What a training tells: a progress bar on stderr, ``log.jsonl``, TensorBoard."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.utilities import rank_zero_only

from entcomp.errors import EntcompError
from entcomp.files import atomic_path
from entcomp.training.config import TrainingConfig


class RunLog(pl.Callback):
    """One JSON object a line: ``{"step": 50, "split": "train", "loss": 5.1, ...}``.

    Losses of training are those of the step itself, so that a resumed run logs the same numbers as
    an undisturbed one. What a killed run logged beyond its last checkpoint is cut off.
    """

    def __init__(self, folder: Path, config: TrainingConfig) -> None:
        self.folder = folder
        self.config = config
        self.step = 0

    @rank_zero_only
    def on_train_start(self, trainer: pl.Trainer, module: Any) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn
        from torch.utils.tensorboard import SummaryWriter

        self.step = trainer.global_step
        self._cut_lines()
        self.writer = SummaryWriter(str(self.folder / "tensorboard"), purge_step=self.step + 1)
        self.progress = Progress(
            "{task.description}",
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            "{task.fields[loss]}",
            console=Console(stderr=True),
        )
        self.task = self.progress.add_task(
            f"train {self.folder.name}", total=self.config.max_steps, completed=self.step, loss=""
        )
        self.progress.start()

    @rank_zero_only
    def on_train_batch_end(self, trainer: pl.Trainer, module: Any, outputs: Any, *_: Any) -> None:
        if trainer.global_step == self.step:  # gradients accumulate
            return
        self.step = trainer.global_step
        self.progress.update(self.task, completed=self.step)
        if self.step % self.config.log_interval == 0:
            values = {name: float(value) for name, value in outputs.items() if name != "count"}
            if not math.isfinite(values["loss"]):
                raise EntcompError(
                    f"{self.folder}: the loss is {values['loss']} at step {self.step}; "
                    f"lower training.learning_rate"
                )
            rate = self.config.learning_rate * self.config.learning_rate_factor(self.step - 1)
            self._write("train", values | {"learning_rate": rate})
            self.progress.update(self.task, loss=f"loss {values['loss']:.3f}")

    @rank_zero_only
    def dev(self, step: int, metrics: dict[str, float]) -> None:
        """Log the metrics of the dev set."""
        self._write("dev", metrics)
        shown = ", ".join(f"{name} {value:.4f}" for name, value in metrics.items())
        self.progress.console.print(
            f"{self.folder.name}: step {step}: dev {shown}", highlight=False
        )

    @rank_zero_only
    def teardown(self, trainer: pl.Trainer, module: Any, stage: str) -> None:
        if hasattr(self, "progress"):
            self.progress.stop()
            self.writer.close()

    def _write(self, split: str, values: dict[str, float]) -> None:
        with open(self._path, "a", encoding="utf-8") as stream:
            stream.write(json.dumps({"step": self.step, "split": split, **values}) + "\n")
        for name, value in values.items():
            self.writer.add_scalar(f"{split}/{name}", value, self.step)

    @property
    def _path(self) -> Path:
        return self.folder / "log.jsonl"

    def _cut_lines(self) -> None:
        """Drop what lies beyond the checkpoint that the run goes on from."""
        lines = self._path.read_text(encoding="utf-8").splitlines() if self._path.exists() else []
        whole = (line for line in lines if line.endswith("}"))
        with atomic_path(self._path) as temporary:
            kept = [line for line in whole if json.loads(line)["step"] <= self.step]
            temporary.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
