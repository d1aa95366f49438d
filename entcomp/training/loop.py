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
import logging
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.exceptions import SIGTERMException
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Sampler

from entcomp.artifacts.stage import Stage, read_stage
from entcomp.errors import EntcompError
from entcomp.files import read_json, sha256_file, write_json
from entcomp.training.config import FREE_KEYS, MACHINE_KEYS, TrainingConfig
from entcomp.training.evaluation import DevBatches, autocast, evaluate, in_bfloat16, training_device
from entcomp.training.keeper import Keeper
from entcomp.training.log import RunLog
from entcomp.training.ranks import cluster_environment, is_first_rank, wait_for_all
from entcomp.training.weights import load_weights, write_mean

__all__ = ["Batches", "FitResult", "TrainingConfig", "fit", "training_stage"]


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
    """The stage of a training, whole once ``fit`` has finished with the same arguments."""
    return Stage(folder, {**inputs, "training": config.without(MACHINE_KEYS)}, name="training")


def fit(
    model: nn.Module,
    train: Batches,
    dev: DevBatches,
    config: TrainingConfig,
    folder: Path,
    inputs: dict[str, Any],
) -> FitResult:
    """Train ``model``, or go on where a killed run stopped; it then holds the kept weights.

    ``inputs`` are JSON-able facts that the result depends on beside ``config``: hashes of the
    data, the model's own config. A whole run is not repeated; one with more ``max_steps`` goes on
    from its last checkpoint. Seed torch with ``config.seed`` before building the model.

    Raises EntcompError if the folder holds a run made from other inputs, or if the loss turns NaN.
    """
    weights = folder / "model.safetensors"
    stage = training_stage(folder, config, inputs)
    whole = stage.is_complete()
    wait_for_all()  # the first rank may be about to make it whole
    if not whole:
        log = RunLog(folder, config)
        keeper = Keeper(folder / "checkpoints", dev, config, log)
        _check_same_run(keeper.last, {**inputs, **config.without(FREE_KEYS)})
        stage.start()
        if not keeper.is_done():
            _train(_Module(model, train, config), [log, keeper], keeper.last)
        if is_first_rank():
            write_mean(weights, keeper.kept_files())
            load_weights(model, weights)
            device = training_device()
            metrics = evaluate(model.to(device), dev, config, device)
            outputs = {"sha256": sha256_file(weights), "step": keeper.step, "metrics": metrics}
            stage.finish(outputs)
        wait_for_all()
    load_weights(model, weights)
    return FitResult(weights, **read_stage(folder, "training")["outputs"])


def _check_same_run(last: Path, run: dict[str, Any]) -> None:
    """Refuse to go on with a run that was begun from something else."""
    path = last.parent / "run.json"
    if last.exists():
        begun = read_json(path)
        changed = sorted(key for key in run | begun if run.get(key) != begun.get(key))
        if changed:
            raise EntcompError(
                f"{last}: the training was begun with another {', '.join(changed)}; "
                f"remove {last.parent}, or train into another folder"
            )
    elif is_first_rank():
        write_json(path, run)


def _train(module: _Module, callbacks: list[pl.Callback], last: Path) -> None:
    """Run Lightning's loop from ``last.ckpt``, if there is one, to the end."""
    config = module.config
    device = training_device()
    on_gpu = device.type == "cuda"
    if config.compile and on_gpu:
        module.model.compile()
    elif config.compile:
        print(f"{last.parents[1]}: no GPU: not compiled", file=sys.stderr)
    if config.precision == "bfloat16" and not in_bfloat16(device, config):
        print(f"{last.parents[1]}: no bfloat16 on this CPU: float32 instead", file=sys.stderr)
    # Unused in some steps, on some ranks: CTC's head, or what a VC model drops to learn guidance.
    distributed = "ddp_find_unused_parameters_true"
    with _quiet_lightning():
        trainer = pl.Trainer(
            max_steps=config.max_steps,
            max_epochs=-1,
            accelerator="gpu" if on_gpu else "cpu",
            devices=config.devices,
            num_nodes=config.num_nodes,
            strategy=distributed if config.devices * config.num_nodes > 1 else "auto",
            plugins=[cluster_environment(config)],
            accumulate_grad_batches=config.accumulate,
            gradient_clip_val=config.clip_norm,
            use_distributed_sampler=False,
            limit_val_batches=0,  # Keeper evaluates
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            logger=False,
            callbacks=callbacks,
            default_root_dir=last.parent,
        )
        module.train()
        try:
            trainer.fit(module, ckpt_path=last if last.exists() else None, weights_only=False)
        except SIGTERMException:  # which would exit with 0
            raise SystemExit(128 + signal.SIGTERM) from None


class _Module(pl.LightningModule):
    """A model as Lightning wants it; every step's learning rate and seed are functions of it."""

    def __init__(self, model: nn.Module, batches: Batches, config: TrainingConfig) -> None:
        super().__init__()
        self.model = model
        self.batches = batches
        self.config = config

    def train_dataloader(self) -> DataLoader:
        """Batches from the step on that the checkpoint, restored by now, has reached."""
        self.next_batch = self.trainer.global_step * self.config.accumulate
        return DataLoader(
            _Steps(self.batches, self.trainer.global_rank, self.trainer.world_size),
            sampler=_From(self.next_batch),
            batch_size=None,
            num_workers=self.config.num_workers,
            pin_memory=self.device.type == "cuda",
        )

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        seed = np.random.SeedSequence([self.config.seed, self.next_batch, self.global_rank])
        torch.manual_seed(int(seed.generate_state(1, np.uint64)[0] >> 1))
        self.next_batch += 1
        factor = self.config.learning_rate_factor(self.trainer.global_step)
        for group in self.optimizers(use_pl_optimizer=False).param_groups:  # type: ignore[union-attr]
            group["lr"] = self.config.learning_rate * factor

    def training_step(self, batch: Any, batch_idx: int) -> dict[str, Tensor]:
        # Lightning's own mixed precision refuses to clip the gradients of a fused optimiser.
        with autocast(self.device, self.config):
            values = self.model.loss(batch)  # type: ignore[operator]
        return {name: v if name == "loss" else v.detach() for name, v in values.items()}

    def configure_optimizers(self) -> torch.optim.Optimizer:
        parameters = [one for one in self.model.parameters() if one.requires_grad]
        groups: list[dict[str, Any]] = [
            {"params": [one for one in parameters if one.ndim > 1]},
            {"params": [one for one in parameters if one.ndim <= 1], "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(
            groups,
            lr=self.config.learning_rate,
            betas=(self.config.betas[0], self.config.betas[1]),
            eps=self.config.eps,
            weight_decay=self.config.weight_decay,
            fused=True,
        )


class _Steps(Dataset):
    """``Batches`` of one rank, indexed by step."""

    def __init__(self, batches: Batches, rank: int, world_size: int) -> None:
        self.batches = batches
        self.rank = rank
        self.world_size = world_size

    def __getitem__(self, step: int) -> Any:
        return self.batches.batch(step, self.rank, self.world_size)


class _From(Sampler):
    """All steps from a first one on, without end."""

    def __init__(self, first: int) -> None:
        self.first = first

    def __iter__(self) -> Iterator[int]:
        return itertools.count(self.first)


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Silence Lightning's tips and advice; errors still are raised."""
    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"(pytorch_lightning|lightning_fabric)\b.*")
        yield
