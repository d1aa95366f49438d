"""Processes that kill themselves at a counted point, so that no test depends on the clock."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch._dynamo
import torch.utils.tensorboard  # both here, as each child would import them again

EVENTS = {"open", "os.rename", "os.remove", "os.mkdir"}


def killed_at(point: int | None, folder: Path, work: Callable[[], object]) -> bool:
    """Do ``work`` in a forked process, killed before its ``point``-th file operation in a folder.

    Counted from 1; False if the work was done before. A file that is being written then is left
    half, and a log that is being added to with part of a line, as kills leave them. One thread,
    as OpenMP's do not survive a fork.
    """

    def target() -> None:
        torch.set_num_threads(1)
        if point is not None:
            sys.addaudithook(_Killer(point, folder))
        work()

    process = multiprocessing.get_context("fork").Process(target=target)
    process.start()
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL), f"exit code {process.exitcode}"
    return process.exitcode != 0


class _Killer:
    def __init__(self, point: int, folder: Path) -> None:
        self.left = point
        self.folder = f"{folder.absolute()}/"

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event not in EVENTS or not isinstance(arguments[0], (str, os.PathLike)):
            return
        path = os.path.abspath(os.fspath(arguments[0]))
        # TensorBoard's files are written by a thread of its own.
        if not path.startswith(self.folder) or "/tensorboard" in path:
            return
        self.left -= 1
        if self.left == 0:
            if path.endswith(".tmp") and os.path.isfile(path):
                os.truncate(path, os.path.getsize(path) // 2)
            elif path.endswith(".jsonl") and os.path.isfile(path):
                with open(path, "a") as stream:
                    stream.write('{"step": 1')
            os.kill(os.getpid(), signal.SIGKILL)
