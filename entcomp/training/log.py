"""What a training tells: a progress bar on stderr, ``log.jsonl``, TensorBoard."""

from __future__ import annotations

import json
import math
from pathlib import Path

from torch import Tensor

from entcomp.errors import EntcompError
from entcomp.files import write_text
from entcomp.training.config import TrainingConfig
from entcomp.training.ranks import is_first_rank


class RunLog:
    """One JSON object a line: ``{"step": 50, "split": "train", "loss": 5.1, ...}``.

    Losses of training are those of the step itself, so that a resumed run logs the same numbers as
    an undisturbed one. What a killed run logged beyond its last checkpoint, the ``step`` to go on
    from, is cut off. Only the first rank logs.
    """

    def __init__(self, folder: Path, config: TrainingConfig, step: int) -> None:
        self.folder, self.config, self.path = folder, config, folder / "log.jsonl"
        self.active = is_first_rank()
        if not self.active:
            return
        from rich.console import Console
        from rich.progress import Progress
        from torch.utils.tensorboard import SummaryWriter

        self._cut_lines(step)
        self.writer = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)
        columns = Progress.get_default_columns()
        more = "{task.completed}/{task.total} {task.fields[loss]}"
        self.bar = Progress(*columns, more, console=Console(stderr=True))
        self.task = self.bar.add_task(
            f"train {folder.name}", total=config.max_steps, completed=step, loss=""
        )

    def __enter__(self) -> RunLog:
        if self.active:
            self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.active:
            self.bar.stop()
            self.writer.close()

    def train(self, step: int, values: dict[str, Tensor]) -> None:
        """Log a step's losses every ``log_interval`` steps. Raises EntcompError for a NaN loss."""
        if not self.active:
            return
        self.bar.update(self.task, completed=step)
        if step % self.config.log_interval:
            return
        numbers = {name: float(value) for name, value in values.items() if name != "count"}
        if not math.isfinite(numbers["loss"]):
            found = f"{self.folder}: the loss is {numbers['loss']} at step {step}"
            raise EntcompError(f"{found}; lower training.learning_rate")
        rate = self.config.learning_rate * self.config.learning_rate_factor(step - 1)
        self._write(step, "train", numbers | {"learning_rate": rate})
        self.bar.update(self.task, loss=f"loss {numbers['loss']:.3f}")

    def dev(self, step: int, metrics: dict[str, float]) -> None:
        """Log the metrics of the dev set."""
        if self.active:
            self._write(step, "dev", metrics)
            shown = ", ".join(f"{name} {value:.4f}" for name, value in metrics.items())
            self.bar.console.print(f"{self.folder.name}: step {step}: dev {shown}", highlight=False)

    def _write(self, step: int, split: str, values: dict[str, float]) -> None:
        with open(self.path, "a", encoding="utf-8") as stream:
            stream.write(json.dumps({"step": step, "split": split, **values}) + "\n")
        for name, value in values.items():
            self.writer.add_scalar(f"{split}/{name}", value, step)

    def _cut_lines(self, step: int) -> None:
        """Drop what lies beyond the checkpoint, and a line that a kill cut short."""
        lines = self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else []
        complete = (line for line in lines if line.endswith("}"))
        kept = (line for line in complete if json.loads(line)["step"] <= step)
        write_text(self.path, "".join(f"{line}\n" for line in kept))
