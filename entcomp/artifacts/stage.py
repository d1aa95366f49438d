"""The manifest of a finished stage: what it was made from, and what it made."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from entcomp.errors import EntcompError
from entcomp.files import read_json, sha256_file, sha256_of, write_json


@dataclass(frozen=True)
class Stage:
    """One output folder of a stage, with all that its bytes depend on.

    ``stage.json`` is written last. It holds ``inputs`` (hashes and options) and ``outputs``
    (counts and hashes), so that a rerun knows what is complete, and a later stage what it reads.
    Where several stages or shards share a folder, ``name`` tells their manifests apart. Without
    any of the ``files`` it is not complete; those that are ``withdrawn`` go when it starts anew, as
    nothing would tell them from what this run was to make.
    """

    folder: Path
    inputs: dict[str, Any]
    name: str = "stage"
    files: tuple[str, ...] = ()
    withdrawn: tuple[str, ...] = ()

    @property
    def manifest(self) -> Path:
        return self.folder / f"{self.name}.json"

    def is_complete(self) -> bool:
        """True if the folder was finished from the same inputs, and its files are still there."""
        as_stored = json.loads(json.dumps(self.inputs))
        return (
            self.manifest.exists()
            and read_json(self.manifest).get("inputs") == as_stored
            and all((self.folder / name).exists() for name in self.files)
        )

    def start(self) -> None:
        """Make the folder and withdraw an older manifest, whose files are about to be replaced."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in (self.manifest.name, *self.withdrawn):
            (self.folder / name).unlink(missing_ok=True)

    def finish(self, outputs: dict[str, Any]) -> None:
        """Write the manifest: the folder is complete."""
        write_json(self.manifest, {"inputs": self.inputs, "outputs": outputs})


def read_stage(folder: Path, name: str = "stage") -> dict[str, dict[str, Any]]:
    """``inputs`` and ``outputs`` of a finished stage; both empty for another toolkit's files.

    Raises EntcompError for a damaged manifest, also when a fact is looked up that is not there.
    """
    path = folder / f"{name}.json"
    stored = read_json(path) if path.exists() else {}
    parts = {part: stored.get(part, {}) for part in ("inputs", "outputs")}
    for part, values in parts.items():
        if not isinstance(values, dict):
            raise EntcompError(f"{path}: {part} is not an object; delete it and rerun its stage")
    return {part: _Facts(path, values) for part, values in parts.items()}


class _Facts(dict[str, Any]):
    """Of a manifest; one that is missing is an error that names the file."""

    def __init__(self, path: Path, values: dict[str, Any]) -> None:
        super().__init__(values)
        self._path = path

    def __missing__(self, key: str) -> Any:
        raise EntcompError(f"{self._path}: no '{key}'; delete it and rerun its stage")


def archive_sha256(folder: Path, name: str, manifest: str = "stage") -> str:
    """SHA-256 of ``name``'s archives: from their stage's manifest or, without one, their bytes."""
    known = read_stage(folder, manifest)["outputs"].get("sha256")
    if known:
        return str(known)
    files = [*sorted(folder.glob(f"{name}.*ark")), folder / f"{name}.scp"]
    return sha256_of([sha256_file(path) for path in files])
