"""Keep the notes of a decoder in C (libmpg123's on broken MP3s) from the user's terminal.

libmpg123 writes them to file descriptor 2, which belongs to the whole process, and libsndfile has
no way to silence it. So while any thread decodes, descriptor 2 is a file in memory; what else was
written there, by Python or by another thread, is passed on to where it was meant to go.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import IO

STDERR = 2
NOTES = re.compile(rb"^(?:Note: |Warning: |\[src/libmpg123/)[^\n]*\n?", re.MULTILINE)


class _Capture:
    """What stands in for descriptor 2 from the first thread that decodes to the last."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.threads = self.passed_on = self.stderr = 0
        self.file: IO[bytes] | None = None

    def enter(self) -> None:
        with self.lock:
            if self.threads == 0:
                self.file, self.passed_on = tempfile.TemporaryFile(), 0
                self.stderr = os.dup(STDERR)
                os.dup2(self.file.fileno(), STDERR)
            self.threads += 1

    def leave(self) -> None:
        with self.lock:
            assert self.file is not None
            self.threads -= 1
            if self.threads == 0:
                os.dup2(self.stderr, STDERR)
            self._pass_on(self.file.fileno())
            if self.threads == 0:
                os.close(self.stderr)
                self.file.close()

    def _pass_on(self, captured: int) -> None:
        size = os.fstat(captured).st_size - self.passed_on
        text = os.pread(captured, size, self.passed_on)
        self.passed_on += len(text)
        rest = memoryview(NOTES.sub(b"", text))
        while rest:
            rest = rest[os.write(self.stderr, rest) :]


_capture = _Capture()


@contextmanager
def without_notes() -> Iterator[None]:
    """Drop what libmpg123 writes to stderr while the block runs; in any number of threads."""
    _capture.enter()
    try:
        yield
    finally:
        _capture.leave()
