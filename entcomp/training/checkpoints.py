"""Checkpoints that survive a kill at any moment, and what of a training has been best so far."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.optim import Optimizer

from entcomp.errors import EntcompError
from entcomp.files import read_json, write_json
from entcomp.training.config import TrainingConfig
from entcomp.training.ranks import is_first_rank
from entcomp.training.weights import read_weights, write_weights


class Checkpoints:
    """``last.ckpt``, from which a training goes on, and the best weights so far.

    ``last.ckpt`` is a safetensors file: weights ``model.*``, the optimiser's state
    ``optimizer.<parameter>.*``, and as metadata JSON that names the kept weights. These are written
    before it and deleted after it, so that whichever ``last.ckpt`` a kill leaves, its files are
    there.
    """

    def __init__(self, folder: Path, config: TrainingConfig, run: dict[str, Any]) -> None:
        """Raises EntcompError if the folder holds another run, or no checkpoint of this program."""
        self.folder, self.config, self.last = folder, config, folder / "last.ckpt"
        self.step = 0
        self.best: list[tuple[float, int]] = []  # (dev metric, step), best first
        self.stale = 0  # evaluations since the best one
        if self.last.exists():
            self._check_same(run)
            self._read_progress()
        elif is_first_rank():
            write_json(folder / "run.json", run)

    def is_done(self) -> bool:
        """True if nothing is left to train."""
        patience = self.config.patience or math.inf
        return self.step >= self.config.max_steps or self.stale >= patience

    def kept_files(self) -> list[Path]:
        """The best weights, in order of steps."""
        return [self._weights(step) for _, step in sorted(self.best, key=lambda one: one[1])]

    def restore(self, model: nn.Module, optimizer: Optimizer) -> None:
        """Set both to what ``last.ckpt`` holds; nothing, where there is none."""
        if not self.last.exists():
            return
        weights: dict[str, Tensor] = {}
        state: defaultdict[int, dict[str, Tensor]] = defaultdict(dict)
        try:
            for name, tensor in read_weights(self.last).items():
                part, _, key = name.partition(".")
                if part == "model":
                    weights[key] = tensor
                else:
                    number, _, key = key.partition(".")
                    state[int(number)][key] = tensor
            model.load_state_dict(weights)
            _check_state(state, [p for group in optimizer.param_groups for p in group["params"]])
            groups = optimizer.state_dict()["param_groups"]
            optimizer.load_state_dict({"state": dict(state), "param_groups": groups})
        except (RuntimeError, ValueError, KeyError):
            raise self._unknown() from None

    def save(
        self, step: int, metrics: dict[str, float], model: nn.Module, optimizer: Optimizer
    ) -> None:
        """Keep the weights if they are among the best, and all that the next step depends on.

        Raises EntcompError if the metric that decides is not there, or is no number.
        """
        value = self._monitored(metrics)
        self.stale = 0 if not self.best or value < self.best[0][0] else self.stale + 1
        self.best = sorted([*self.best, (value, step)])[: self.config.keep_best]
        self.step = step
        if not is_first_rank():
            return
        kept, weights = self.kept_files(), model.state_dict()
        if self._weights(step) in kept:
            write_weights(self._weights(step), weights)
        tensors = {f"model.{name}": tensor for name, tensor in weights.items()}
        for number, state in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{number}.{name}": tensor for name, tensor in state.items()}
        progress = {"step": step, "best": self.best, "stale": self.stale}
        write_weights(self.last, tensors, {"progress": json.dumps(progress)})
        for path in set(self.folder.glob("step-*.safetensors")) - set(kept):
            path.unlink()

    def _monitored(self, metrics: dict[str, float]) -> float:
        name = self.config.monitor
        if name not in metrics:
            raise EntcompError(f"training.monitor: no metric '{name}'; one of {', '.join(metrics)}")
        if not math.isfinite(metrics[name]):
            found = f"{self.folder.parent}: the dev {name} is {metrics[name]}"
            raise EntcompError(f"{found}; lower training.learning_rate")
        return metrics[name]

    def _check_same(self, run: dict[str, Any]) -> None:
        begun = read_json(self.folder / "run.json")
        changed = sorted(key for key in run | begun if run.get(key) != begun.get(key))
        if changed:
            raise EntcompError(
                f"{self.last}: the training was begun with another {', '.join(changed)}; "
                f"remove {self.folder}, or train into another folder"
            )

    def _read_progress(self) -> None:
        try:
            with safe_open(self.last, "pt") as stored:
                progress = json.loads(stored.metadata()["progress"])
            self.step, self.stale = int(progress["step"]), int(progress["stale"])
            self.best = [(float(value), int(step)) for value, step in progress["best"]]
        except (SafetensorError, ValueError, TypeError, KeyError):
            raise self._unknown() from None

    def _unknown(self) -> EntcompError:
        return EntcompError(
            f"{self.last}: not a checkpoint of this model by this version of entcomp; "
            f"remove {self.folder} to train from the beginning"
        )

    def _weights(self, step: int) -> Path:
        return self.folder / f"step-{step:08d}.safetensors"


def _check_state(state: Mapping[int, dict[str, Tensor]], parameters: Sequence[Tensor]) -> None:
    """Raises ValueError unless an optimiser holds the same of each parameter, in its shape."""
    names = {frozenset(one) for one in state.values()}
    shapes = {number: {one.shape for one in tensors.values()} for number, tensors in state.items()}
    for number, found in shapes.items():
        if not 0 <= number < len(parameters) or found - {parameters[number].shape, torch.Size()}:
            raise ValueError("the state of other parameters")
    if len(names) > 1:
        raise ValueError("a state that is not complete")
