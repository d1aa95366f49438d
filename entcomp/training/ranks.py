"""The processes that train together: how they find each other, who is first, who waits.

On one machine Lightning starts them. Under SLURM they are tasks of one srun, and all of them run
the command from its first line on; so they meet before any of them writes a file.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from typing import Any

import torch
from lightning_fabric.plugins.environments import (
    ClusterEnvironment,
    LightningEnvironment,
    SLURMEnvironment,
)
from pytorch_lightning.utilities import rank_zero_only

from entcomp.errors import EntcompError
from entcomp.training.config import TrainingConfig

# What the first rank may take to pack a corpus, or to evaluate, while the others wait.
PATIENCE = timedelta(days=2)


def is_first_rank() -> bool:
    """True in the process that writes files, of those that train together."""
    return rank_zero_only.rank == 0  # type: ignore[attr-defined]


def cluster_environment(config: TrainingConfig) -> ClusterEnvironment:
    """Who starts the processes: srun, if it has started several tasks, else Lightning.

    Raises EntcompError where srun has not started as many as the config asks for.
    """
    tasks = int(os.environ.get("SLURM_STEP_NUM_TASKS", "1"))
    wanted = config.devices * config.num_nodes
    if tasks == 1 and config.num_nodes == 1:
        return LightningEnvironment()
    if tasks != wanted:
        raise EntcompError(
            f"{config.devices} devices on {config.num_nodes} nodes are {wanted} processes, but "
            f"there are {tasks}; start them by srun --nodes={config.num_nodes} "
            f"--ntasks-per-node={config.devices}"
        )
    # SLURM starts a job again that it had to stop; last.ckpt is what it goes on from.
    return SLURMEnvironment(auto_requeue=False)


def meet(config: TrainingConfig) -> None:
    """Under srun, wait until all ranks are there. Ranks but the first fall silent on stdout."""
    environment = cluster_environment(config)
    if isinstance(environment, SLURMEnvironment) and not torch.distributed.is_initialized():
        os.environ["MASTER_ADDR"] = environment.main_address
        os.environ["MASTER_PORT"] = str(environment.main_port)
        torch.distributed.init_process_group(
            "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo",
            rank=environment.global_rank(),
            world_size=environment.world_size(),
        )
        _waiting_group()
    if not is_first_rank():
        sys.stdout = open(os.devnull, "w")


def wait_for_all() -> None:
    """Until every rank is here; nothing, in a process that trains alone.

    Raises EntcompError if a rank has ended.
    """
    if torch.distributed.is_initialized():
        try:
            torch.distributed.monitored_barrier(_waiting_group(), PATIENCE)
        except RuntimeError as error:
            raise EntcompError("another rank of this training failed; it says why") from error


@contextmanager
def first_rank_first() -> Iterator[None]:
    """The first rank goes through the block, then the others, who find its files complete."""
    if not is_first_rank():
        wait_for_all()
    yield
    if is_first_rank():
        wait_for_all()


@cache
def _waiting_group() -> Any:
    """All ranks, apart from the group that trains: there, minutes of silence are an error."""
    return torch.distributed.new_group(backend="gloo", timeout=PATIENCE)
