"""Complete files or none: atomic writes, content hashes, JSON."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import IO, Any

from entcomp.errors import EntcompError

NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
_HELD: set[tuple[int, int, Path]] = set()  # folders that are locked, by process and thread


@contextmanager
def naming_file(path: Path) -> Iterator[None]:
    """Say which file an OSError is about: that of a write to a full disk does not by itself."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside ``path``; it takes the final name only if the block ends well.

    The temporary name is the same at every run, so that what a killed run left is overwritten. A
    second process that writes the same file waits for the end of the first.
    """
    if not path.name:  # such as "."
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    with naming_file(path), _claimed(temporary, path):
        try:
            yield temporary
            with open(temporary, "rb") as stream:
                os.fsync(stream.fileno())
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


@contextmanager
def _claimed(temporary: Path, path: Path) -> Iterator[None]:
    """An empty file ``temporary`` that nobody else writes until the block ends."""
    while True:
        with open(temporary, "ab") as stream:
            _lock(stream, path)
            try:
                if not _is_still(temporary, stream):  # whoever had it gave it its final name
                    continue
                if temporary.stat().st_size:  # what a killed run left
                    os.truncate(temporary, 0)
                yield
                return
            finally:
                with suppress(OSError):  # not only closed: a process that was forked has it, too
                    fcntl.flock(stream, fcntl.LOCK_UN)


def _is_still(path: Path, stream: IO[bytes]) -> bool:
    """Is the open file the one of that name?"""
    try:
        return os.path.samestat(path.stat(), os.fstat(stream.fileno()))
    except FileNotFoundError:
        return False


def _lock(stream: IO[Any], what: Path) -> None:
    """Lock an open file; waits, and says so, while another process has it."""
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print(f"{what}: another process works there; waiting for its end", file=sys.stderr)
        fcntl.flock(stream, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        _warn_of_no_locks(what.parent)


@cache
def _warn_of_no_locks(folder: Path) -> None:
    print(f"{folder}: no locks on this file system; start one process", file=sys.stderr)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep others that ask for the same folder waiting until the block ends; they say so.

    A thread may lock what it has locked. Where the file system has no locks, as on some clusters,
    it warns and does not lock.
    """
    folder.mkdir(parents=True, exist_ok=True)
    holder = os.getpid(), threading.get_ident(), folder.resolve()
    if holder in _HELD:
        yield
        return
    with open(folder / ".lock", "w") as stream:
        _lock(stream, folder)
        _HELD.add(holder)
        try:
            yield
        finally:
            _HELD.discard(holder)


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes, as hex."""
    return sha256_files([path])


def sha256_files(paths: Iterable[Path]) -> str:
    """SHA-256 of the bytes of files, one after the other."""
    digest = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def sha256_of(value: Any) -> str:
    """SHA-256 of a JSON-able value, independent of key order."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object. Raises EntcompError if it is missing or is none."""
    try:
        text = path.read_text(encoding="utf-8")
        value = json.loads(text)
        if "\\u" in text:  # a lone surrogate (\ud800) is no text, and could not be written again
            json.dumps(value, ensure_ascii=False).encode()
    except FileNotFoundError:
        raise EntcompError(f"{path}: no such file; run the stage that makes it first") from None
    except (ValueError, RecursionError) as error:  # not UTF-8, not JSON, or nested too deeply
        raise EntcompError(f"{path}: not JSON ({error}); delete it and rerun its stage") from None
    if not isinstance(value, dict):
        raise EntcompError(f"{path}: not a JSON object; delete it and rerun its stage")
    return value


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8, complete or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write a JSON object atomically, with sorted keys so that equal content is equal bytes."""
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")
