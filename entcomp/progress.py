"""What is said on stderr: a progress bar for whatever takes longer than a few seconds, and a log.

There is no bar where the logger ``entcomp`` is silent about warnings, as with ``--quiet``.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")


def track(items: Iterable[Item], description: str, total: int | None = None) -> Iterator[Item]:
    """Yield ``items`` and show how many are done, of how many, and the time left."""
    from rich.console import Console
    from rich.progress import track as rich_track

    console = Console(stderr=True, quiet=is_quiet())
    yield from rich_track(items, description=description, total=total, console=console)


@contextmanager
def progress_bar(description: str, total: float) -> Iterator[Callable[[float], None]]:
    """A bar for what is no list of items; call what it yields with what has been done."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True, quiet=is_quiet())) as bar:
        task = bar.add_task(description, total=total or None)
        yield lambda done: bar.advance(task, done)


def is_quiet() -> bool:
    return not logging.getLogger("entcomp").isEnabledFor(logging.WARNING)


def log_to_stderr(level: int) -> None:
    """Show the log of ``entcomp`` from ``level`` on, in lines as ``entcomp: warning: ...``."""
    log = logging.getLogger("entcomp")
    log.handlers = [_Stderr()]
    log.propagate = False  # libraries of speech put a handler of their own at the root
    log.setLevel(max(logging.DEBUG, level))


class _Stderr(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        line = f"entcomp: {record.levelname.lower()}: {self.format(record)}"
        print(line, file=sys.stderr, flush=True)
