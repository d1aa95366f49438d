"""The training loop: AdamW, warm-up and cosine, resume to the identical loss, best weights kept.

A task brings a model, batches and a folder.

- The model is an ``nn.Module`` with ``loss(batch) -> dict[str, Tensor]`` of scalars. ``"loss"`` is
  minimised, every other entry is logged. ``"count"``, if it is there, is the number of items that
  the means were taken over; dev metrics are averaged by it. In eval mode ``loss`` may return
  more entries (an accuracy, say). With ``compile``, ``forward`` is compiled, so ``loss`` should
  call the heavy part as ``self(...)``.
- ``Batches.batch(step, rank, world_size)`` is a pure function: a resumed run needs no state of the
  data, and ranks take disjoint parts of one global batch. ``dev`` is a finite sequence of batches.
  A batch is a tensor, a dict or list of them, or an object with ``to(device)``.
- The folder receives ``checkpoints/``, ``log.jsonl``, ``tensorboard/``, and, last of all,
  ``model.safetensors``: the mean of the ``keep_best`` best weights.
"""

from __future__ import annotations

import itertools
import signal
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Dataset

from entcomp.artifacts.models import WEIGHTS
from entcomp.artifacts.stage import Stage, read_stage
from entcomp.errors import EntcompError
from entcomp.files import locked, sha256_file
from entcomp.training.checkpoints import Checkpoints
from entcomp.training.config import FREE_KEYS, MACHINE_KEYS, TrainingConfig
from entcomp.training.evaluation import (
    DevBatches,
    autocast,
    evaluate,
    to_device,
    training_device,
    warn_unsupported,
)
from entcomp.training.log import RunLog
from entcomp.training.ranks import (
    is_first_rank,
    join_ranks,
    naming_lost_ranks,
    rank,
    wait_for_all,
    world_size,
)
from entcomp.training.weights import load_weights, write_mean


class Batches(Protocol):
    """Training data as a pure function of the step.

    ``step`` counts batches: with ``accumulate: 4``, optimiser step ``s`` takes ``4s .. 4s+3``.
    """

    def batch(self, step: int, rank: int = 0, world_size: int = 1) -> Any:
        """This rank's part of global batch ``step``."""


@dataclass(frozen=True)
class FitResult:
    """What a training ended with. ``metrics`` are those of the kept weights on the dev set."""

    weights: Path
    sha256: str
    step: int
    metrics: dict[str, float]


def training_stage(folder: Path, config: TrainingConfig, inputs: dict[str, Any]) -> Stage:
    """The stage of a training, complete once ``fit`` has finished with the same arguments."""
    inputs = {**inputs, "training": config.without(MACHINE_KEYS)}
    return Stage(folder, inputs, name="training", files=(WEIGHTS,))


def fit(
    model: nn.Module,
    train: Batches,
    dev: DevBatches,
    config: TrainingConfig,
    folder: Path,
    inputs: dict[str, Any],
) -> FitResult:
    """Train ``model``, or continue where a killed run stopped; it then holds the kept weights.

    ``inputs`` are JSON-able facts that the result depends on beside ``config``: hashes of the
    data, the model's own config. A complete run is not repeated; one with more ``max_steps`` goes
    on from its last checkpoint. Seed torch with ``config.seed`` before building the model.

    Raises EntcompError if the folder holds a run made from other inputs, if the loss turns NaN, or
    if another rank fails.
    """
    if not len(dev):
        raise ValueError("a dev set is needed: it decides what is kept")
    join_ranks(config)
    weights = folder / WEIGHTS
    stage = training_stage(folder, config, inputs)
    # Of two commands that train the same model, the second finds it complete.
    with locked(folder) if is_first_rank() else nullcontext():
        wait_for_all()
        complete = stage.is_complete()
        wait_for_all()  # the first rank may be about to complete it
        if not complete:
            run = {**inputs, **config.without(FREE_KEYS)}
            checkpoints = Checkpoints(folder / "checkpoints", config, run)
            if checkpoints.step > config.max_steps:
                raise EntcompError(
                    f"{folder}: trained for {checkpoints.step} steps already; give --max-steps "
                    f"{checkpoints.step} or more, or another --tag"
                )
            stage.start()
            with _exit_on_sigterm(), naming_lost_ranks():
                _train(model, train, dev, checkpoints)
            if is_first_rank():
                _finish(model, dev, checkpoints, weights, stage)
            wait_for_all()
    load_weights(model, weights)
    return FitResult(weights, **read_stage(folder, "training")["outputs"])


def _finish(
    model: nn.Module, dev: DevBatches, checkpoints: Checkpoints, weights: Path, stage: Stage
) -> None:
    """Write the mean of the kept weights, and what it reaches on the dev set."""
    write_mean(weights, checkpoints.kept_files())
    load_weights(model, weights)
    device = training_device()
    metrics = evaluate(model.to(device), dev, checkpoints.config, device)
    outputs = {"sha256": sha256_file(weights), "step": checkpoints.step, "metrics": metrics}
    stage.finish(outputs)


def _train(model: nn.Module, train: Batches, dev: DevBatches, checkpoints: Checkpoints) -> None:
    """From the last checkpoint, if there is one, to the end."""
    if checkpoints.is_done():
        return
    config, device, step = checkpoints.config, training_device(), checkpoints.step
    folder = checkpoints.folder.parent
    warn_unsupported(config, device, folder)
    model.to(device).train()
    if config.compile and device.type == "cuda":
        model.compile()
    optimizer = build_optimizer(model, config)
    checkpoints.restore(model, optimizer)
    losses: nn.Module = _Losses(model, autocast(device, config))
    if world_size() > 1:
        # Unused in some steps, on some ranks: CTC's head, or what a VC model drops for guidance.
        losses = DistributedDataParallel(losses, find_unused_parameters=True)
    batches = _load(train, step * config.accumulate, config, device)
    with RunLog(folder, config, step) as log:
        while not checkpoints.is_done():
            values = _optimize(losses, optimizer, batches, step, config)
            step += 1
            log.train(step, values)
            if step % config.val_interval == 0 or step >= config.max_steps:
                metrics = evaluate(model, dev, config, device, rank(), world_size())
                log.dev(step, metrics)
                checkpoints.save(step, metrics, model, optimizer)


def _optimize(
    losses: nn.Module,
    optimizer: torch.optim.Optimizer,
    batches: Iterator[Any],
    step: int,
    config: TrainingConfig,
) -> dict[str, Tensor]:
    """One step of the optimiser; what the model's loss returned for the last of its batches."""
    for group in optimizer.param_groups:
        group["lr"] = config.learning_rate * config.learning_rate_factor(step)
    optimizer.zero_grad()
    numbers = range(step * config.accumulate, (step + 1) * config.accumulate)
    apart = getattr(losses, "no_sync", nullcontext)
    for number in numbers:
        batch = next(batches)
        seed = np.random.SeedSequence([config.seed, number, rank()])
        torch.manual_seed(int(seed.generate_state(1, np.uint64)[0] >> 1))
        # Ranks add up their gradients once a step.
        with apart() if number != numbers[-1] else nullcontext():
            values = losses(batch)
            (values["loss"] / config.accumulate).backward()
    if config.clip_norm:
        learnt = [one for group in optimizer.param_groups for one in group["params"]]
        nn.utils.clip_grad_norm_(learnt, config.clip_norm)
    optimizer.step()
    return {name: value.detach() for name, value in values.items()}


def build_optimizer(model: nn.Module, config: TrainingConfig) -> torch.optim.Optimizer:
    """AdamW, without weight decay of gains and biases."""
    learnt = [one for one in model.parameters() if one.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": [one for one in learnt if one.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [one for one in learnt if one.ndim <= 1], "weight_decay": 0.0},
    ]
    betas = config.betas[0], config.betas[1]
    return torch.optim.AdamW(groups, config.learning_rate, betas, config.eps, fused=True)


class _Losses(nn.Module):
    """``model.loss`` as a call, which is what data parallel training wraps."""

    def __init__(self, model: nn.Module, precision: torch.autocast) -> None:
        super().__init__()
        self.model, self.precision = model, precision

    def forward(self, batch: Any) -> dict[str, Tensor]:
        with self.precision:
            values: dict[str, Tensor] = self.model.loss(batch)  # type: ignore[operator]
        return {name: one if name == "loss" else one.detach() for name, one in values.items()}


class Steps(Dataset):
    """This rank's `Batches`, indexed by step."""

    def __init__(self, batches: Batches) -> None:
        self.batches, self.rank, self.world_size = batches, rank(), world_size()

    def __getitem__(self, step: int) -> Any:
        try:
            return self.batches.batch(step, self.rank, self.world_size)
        except EntcompError as error:
            return error  # raised in a worker, it would come with a traceback in its message


def _load(
    batches: Batches, first: int, config: TrainingConfig, device: torch.device
) -> Iterator[Any]:
    """Batches from number ``first`` on, without end, on the device."""
    loader = DataLoader(
        Steps(batches),
        sampler=itertools.count(first),
        batch_size=None,
        num_workers=config.num_workers,
        pin_memory=device.type == "cuda",
    )
    for batch in loader:
        if isinstance(batch, EntcompError):
            raise batch
        yield to_device(batch, device)


@contextmanager
def _exit_on_sigterm() -> Iterator[None]:
    """SIGTERM unwinds the block, so that other ranks end too; the exit code is the shell's."""

    def leave(*_: Any) -> None:
        raise SystemExit(128 + signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
