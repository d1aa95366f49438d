"""In every Python process of a recipe under `kill_recipe.sh`: counts file operations, and kills.

`kill_recipe.py` sets the variables. The operations of all processes in $KILL_FOLDER are counted by
the length of $KILL_COUNTER; at the $KILL_AT-th, all processes that have these variables are killed.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

EVENTS = {"open", "os.rename", "os.remove", "os.mkdir"}


def install(folder: str, counter: str, point: int) -> None:
    """Count from now on. ``point`` is from 1; 0 counts only."""
    stream = os.open(counter, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event not in EVENTS or not isinstance(arguments[0], (str, os.PathLike)):
            return
        path = os.path.abspath(os.fspath(arguments[0]))
        # TensorBoard's files are written by a thread of its own, logs as fast as jobs print.
        if not path.startswith(folder) or "/tensorboard" in path or "/log/" in path:
            return
        os.write(stream, b".")
        # Appending sets the position of this process, which is how many there were before it.
        if os.lseek(stream, 0, os.SEEK_CUR) == point:
            Path(f"{counter}.where").write_text(f"{event} {path}\n{' '.join(sys.argv)}\n")
            kill_all(f"KILL_COUNTER={counter}".encode())

    sys.addaudithook(hook)


def kill_all(variable: bytes) -> None:
    """SIGKILL to all processes with a variable, shells and jobs too, this one last."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                if variable in (folder / "environ").read_bytes().split(b"\0"):
                    os.kill(int(folder.name), signal.SIGKILL)
            except OSError:
                pass  # it has ended, or is another user's
    os.kill(os.getpid(), signal.SIGKILL)


if "KILL_COUNTER" in os.environ:
    install(os.environ["KILL_FOLDER"], os.environ["KILL_COUNTER"], int(os.environ["KILL_AT"]))
