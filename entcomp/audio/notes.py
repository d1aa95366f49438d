"""Keep the notes of a decoder in C (libmpg123's on broken MP3s) from the user's terminal.

libmpg123 writes them to file descriptor 2, which belongs to the whole process, and libsndfile has
no way to silence it. So while any thread decodes, descriptor 2 is a pipe. A thread of our own reads
it and passes on to where it was meant to go what else is written there, by Python or by another
thread. The pipe stays for good: a write that began before descriptor 2 was put back still arrives.
"""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event, Lock, Thread

STDERR = 2
STARTS = (b"Note: ", b"Warning: ", b"[src/libmpg123/")
NOTES = re.compile(rb"^(?:" + b"|".join(map(re.escape, STARTS)) + rb")[^\n]*\n", re.MULTILINE)
# Written to the pipe, it tells when all before it has been passed on; a write so short is whole.
MARK = b"\0passed on\0"


class _Filter:
    """What stands in for descriptor 2 from the first thread that decodes to the last."""

    def __init__(self) -> None:
        self._is_registered = False
        self._reset()

    def _reset(self) -> None:
        """At first, and in a forked process, which has no thread that reads."""
        self.lock, self.output = Lock(), Lock()
        self.threads = 0
        self.pipe = self.stderr = -1
        self.waiting: deque[Event] = deque()

    def enter(self) -> None:
        with self.lock:
            if self.threads == 0:
                self._divert()
            self.threads += 1

    def leave(self) -> None:
        with self.lock:
            self.threads -= 1
            if self.threads:
                return
            os.dup2(self.stderr, STDERR)
            passed_on = Event()
            self.waiting.append(passed_on)
            os.write(self.pipe, MARK)
        passed_on.wait()

    def _divert(self) -> None:
        """Descriptor 2 to the pipe; ``stderr`` is where it led to."""
        _open_stderr()
        if self.pipe < 0:
            self._start()
        with self.output:
            if self.stderr >= 0:
                os.close(self.stderr)
            self.stderr = os.dup(STDERR)
        os.dup2(self.pipe, STDERR)

    def _start(self) -> None:
        if not self._is_registered:
            os.register_at_fork(after_in_child=self._reset)
            self._is_registered = True
        reading, self.pipe = os.pipe()
        Thread(target=self._read, args=(reading,), daemon=True).start()

    def _read(self, reading: int) -> None:
        held = b""  # the beginning of a line that may be a note
        while text := os.read(reading, 1 << 20):
            *before, text = text.split(MARK)
            for one in before:
                rest = self._pass_on(held + one)
                self._write(b"" if rest.startswith(STARTS) else rest)
                held = b""
                self.waiting.popleft().set()
            held = self._pass_on(held + text)

    def _pass_on(self, text: bytes) -> bytes:
        """All but notes; returns the end of what may become one."""
        rest = NOTES.sub(b"", text)
        line = rest[rest.rfind(b"\n") + 1 :]
        held = line if line and any(_begins_alike(line, one) for one in STARTS) else b""
        self._write(rest.removesuffix(held))
        return held

    def _write(self, text: bytes) -> None:
        # Where nobody reads stderr any more there is nobody to tell.
        with self.output, suppress(OSError):
            while text:
                text = text[os.write(self.stderr, text) :]


def _open_stderr() -> None:
    """A process may be started without descriptor 2; the pipe must not become it."""
    try:
        os.fstat(STDERR)
    except OSError:
        null = os.open(os.devnull, os.O_WRONLY)
        if null != STDERR:
            os.dup2(null, STDERR)
            os.close(null)


def _begins_alike(line: bytes, start: bytes) -> bool:
    return line.startswith(start) or start.startswith(line)


_filter = _Filter()


@contextmanager
def without_notes() -> Iterator[None]:
    """Drop what libmpg123 writes to stderr while the block runs; in any number of threads."""
    _filter.enter()
    try:
        yield
    finally:
        _filter.leave()
