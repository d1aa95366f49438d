"""The processes that train together: who starts them, who is first, who waits.

Either srun has started a task for each, or the first one runs its own command again for the
others. In both cases all run the command from its first line on; so they meet before any of them
writes a file.
"""

from __future__ import annotations

import atexit
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from typing import Any

import torch
from torch.distributed import TCPStore

from entcomp.errors import EntcompError
from entcomp.training.config import TrainingConfig

# What the first rank may take to pack a corpus, or to evaluate, while the others wait.
PATIENCE = timedelta(days=2)
# Tells a process that the first rank has started its rank, and the port to meet at: ``1 40123``.
STARTED = "ENTCOMP_RANK"


def rank() -> int:
    """The number of this process among those that train together, from 0."""
    return torch.distributed.get_rank() if torch.distributed.is_initialized() else 0


def world_size() -> int:
    """How many processes train together."""
    return torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1


def is_first_rank() -> bool:
    """True in the process that writes files, of those that train together."""
    return rank() == 0


def tasks_of_srun(config: TrainingConfig) -> int:
    """How many tasks srun has started; 1 where the processes are still to be started.

    Raises EntcompError where srun has not started as many as the config asks for.
    """
    tasks = int(os.environ.get("SLURM_STEP_NUM_TASKS", "1"))
    wanted = config.devices * config.num_nodes
    if tasks != wanted and (tasks > 1 or config.num_nodes > 1):
        raise EntcompError(
            f"{config.devices} devices on {config.num_nodes} nodes are {wanted} processes, but "
            f"there are {tasks}; start them by srun --nodes={config.num_nodes} "
            f"--ntasks-per-node={config.devices}"
        )
    return tasks


def check_share(examples: int, config: TrainingConfig) -> None:
    """Raises EntcompError where batches of so many examples leave nothing to some rank."""
    ranks = config.devices * config.num_nodes
    if examples < ranks:
        raise EntcompError(
            f"config: {examples} examples a batch for {ranks} devices; take larger batches, or "
            "fewer devices"
        )


def join_ranks(config: TrainingConfig) -> None:
    """Wait until all ranks are there; they are started if need be. Alone, nothing happens.

    Ranks but the first fall silent on stdout. Raises EntcompError if the ranks do not come to be.
    """
    tasks = tasks_of_srun(config)
    if torch.distributed.is_initialized() or config.devices * config.num_nodes == 1:
        return
    if tasks > 1:
        number, local, store = _join_srun(tasks)
    elif STARTED in os.environ:
        number, port = map(int, os.environ[STARTED].split())
        local, store = number, TCPStore("127.0.0.1", port, config.devices)
        store.add("started", 1)
    else:
        number, local, store = 0, 0, _start_others(config.devices)
    backend = "gloo"
    if torch.cuda.is_available():
        torch.cuda.set_device(local % torch.cuda.device_count())
        backend = "cpu:gloo,cuda:nccl"
    elif "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // config.devices))
    size = config.devices * config.num_nodes
    torch.distributed.init_process_group(backend, store=store, rank=number, world_size=size)
    _waiting_group()
    if not is_first_rank():
        sys.stdout = open(os.devnull, "w")


def wait_for_all() -> None:
    """Until every rank is here; nothing, in a process that trains alone.

    Raises EntcompError if a rank has ended.
    """
    if torch.distributed.is_initialized():
        with naming_lost_ranks():
            torch.distributed.monitored_barrier(_waiting_group(), PATIENCE)


@contextmanager
def first_rank_first() -> Iterator[None]:
    """The first rank goes through the block, then the others, who find its files complete."""
    if not is_first_rank():
        wait_for_all()
    yield
    if is_first_rank():
        wait_for_all()


@contextmanager
def naming_lost_ranks() -> Iterator[None]:
    """Turn the error of a connection, whose other end is gone, into an EntcompError."""
    try:
        yield
    except RuntimeError as error:
        lost = isinstance(error, torch.distributed.DistError) or "gloo" in str(error)
        if world_size() > 1 and lost:
            raise EntcompError("another rank of this training failed; see its message") from error
        raise


@cache
def _waiting_group() -> Any:
    """All ranks, apart from the group that trains: there, minutes of silence are an error."""
    return torch.distributed.new_group(backend="gloo", timeout=PATIENCE)


def _join_srun(tasks: int) -> tuple[int, int, TCPStore]:
    """Global rank, rank on the node, and the store where the tasks meet: a port of the first."""
    number, local = (int(os.environ[f"SLURM_{name}"]) for name in ("PROCID", "LOCALID"))
    address = os.environ.get("MASTER_ADDR") or first_node(os.environ["SLURM_NODELIST"])
    port = os.environ.get("MASTER_PORT") or 15_000 + int(os.environ["SLURM_JOB_ID"]) % 10_000
    return number, local, TCPStore(address, int(port), tasks, number == 0)


def first_node(nodes: str) -> str:
    """Of SLURM's list of nodes: ``gpu-a03`` of ``gpu-a[03-05,07],gpu-b1``."""
    found = re.match(r"([^,[]+)(?:\[(\w+)[^]]*\])?([^,[]*)", nodes)
    return "".join(found.groups("")) if found else nodes


def _start_others(size: int) -> TCPStore:
    """Run this command again for ranks 1 .. size-1; they end when this process does."""
    if torch.cuda.is_available() and torch.cuda.device_count() < size:
        raise EntcompError(
            f"{size} devices, but torch sees {torch.cuda.device_count()} GPUs; lower --devices"
        )
    store = TCPStore("127.0.0.1", 0, size, True, wait_for_workers=False)
    command = [sys.executable, *sys.orig_argv[1:]]
    others = [
        subprocess.Popen(
            command,
            env=os.environ | {STARTED: f"{number} {store.port}"},
            stdin=subprocess.DEVNULL,
        )
        for number in range(1, size)
    ]
    atexit.register(_end, others)
    while store.add("started", 0) < size - 1:
        if any(one.poll() is not None for one in others):
            raise EntcompError(
                "another rank of this training ended before it began; see its message"
            )
        time.sleep(0.05)
    return store


def _end(others: list[subprocess.Popen[bytes]]) -> None:
    """Ranks but the first write nothing: what they are at is done, or in vain."""
    for one in others:
        one.kill()
        one.wait()
