"""Waiting for other processes, by what they do and not by the clock."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable

# Seconds after which something that should come is taken for lost, so that a bug does not stop all
# tests; no machine is so slow.
LOST = 900


def until(condition: Callable[[], object], process: subprocess.Popen[str] | None = None) -> None:
    """Return once ``condition()`` holds; it is an error if ``process`` has ended before."""
    begin = time.monotonic()
    while not condition():
        assert process is None or process.poll() is None, "the process ended before"
        assert time.monotonic() - begin < LOST, "it never came"
        time.sleep(0.02)
