"""Whole files or none: atomic writes, content hashes, and the mark that a stage is whole."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from entcomp.errors import EntcompError


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

    The temporary name is the same at every run, so that what a killed run left is overwritten.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with naming_file(path):
            yield temporary
            with open(temporary, "rb") as stream:
                os.fsync(stream.fileno())
            os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes that ask for the same folder waiting until the block ends."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes, as hex."""
    return sha256_files([path])


def sha256_files(paths: Iterable[Path]) -> str:
    """SHA-256 of the bytes of files, one behind the other."""
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
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise EntcompError(f"{path}: no such file; run the stage that makes it first") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise EntcompError(f"{path}: not JSON ({error}); delete it and rerun its stage") from None
    if not isinstance(value, dict):
        raise EntcompError(f"{path}: not a JSON object; delete it and rerun its stage")
    return value


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write a JSON object atomically, with sorted keys so that equal content is equal bytes."""
    with atomic_path(path) as temporary:
        text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")


@dataclass(frozen=True)
class Stage:
    """One output folder of a stage, with all that its bytes depend on.

    ``stage.json`` is written last. It holds ``inputs`` (hashes and options) and ``outputs``
    (counts and hashes), so that a rerun knows what is whole, and a later stage what it reads.
    Where several stages or shards share a folder, ``name`` tells their marks apart.
    """

    folder: Path
    inputs: dict[str, Any]
    name: str = "stage"

    @property
    def mark(self) -> Path:
        return self.folder / f"{self.name}.json"

    def is_whole(self) -> bool:
        """True if the folder was finished from the same inputs."""
        as_stored = json.loads(json.dumps(self.inputs))
        return self.mark.exists() and read_json(self.mark).get("inputs") == as_stored

    def start(self) -> None:
        """Make the folder and withdraw an older mark, whose files are about to be replaced."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.mark.unlink(missing_ok=True)

    def finish(self, outputs: dict[str, Any]) -> None:
        """Mark the folder as whole."""
        write_json(self.mark, {"inputs": self.inputs, "outputs": outputs})


def read_stage(folder: Path, name: str = "stage") -> dict[str, dict[str, Any]]:
    """``inputs`` and ``outputs`` of a finished stage; both empty for somebody else's files."""
    path = folder / f"{name}.json"
    stored = read_json(path) if path.exists() else {}
    return {"inputs": stored.get("inputs", {}), "outputs": stored.get("outputs", {})}
