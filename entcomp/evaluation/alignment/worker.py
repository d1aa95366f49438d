"""A process for work in C that may crash or hang; its death costs one request only."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

Make = Callable[[], Callable[[Any], Any]]


class WorkerDiedError(Exception):
    """The process crashed, or was ended for taking too long; the next request gets a new one."""


class Worker:
    """Calls ``make()`` once in a process of its own, and what that returns on each request.

    ``make`` has to be a module's function: the process is spawned, as forking among threads is
    not safe.
    """

    def __init__(self, make: Make) -> None:
        self._make = make
        self._process: multiprocessing.process.BaseProcess | None = None
        self._connection: Connection

    def ask(self, request: Any, timeout: float) -> Any:
        """The answer to ``request`` within ``timeout`` seconds. Raises WorkerDiedError."""
        if self._process is None:
            self._start()
        try:
            self._connection.send(request)
            if self._connection.poll(timeout):
                return self._connection.recv()
            reason = f"the aligner took more than {timeout:.0f} s"
        except (EOFError, OSError):
            reason = "the aligner crashed"
        self.close()
        raise WorkerDiedError(reason)

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other, self._make), daemon=True)
        self._process.start()
        other.close()

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._connection.close()
            self._process = None


def _serve(connection: Connection, make: Make) -> None:
    """Answer until the other end closes, be it because the parent was killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answer = make()
    while True:
        try:
            request = connection.recv()
        except EOFError:
            return
        connection.send(answer(request))
