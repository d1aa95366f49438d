"""The utterances of a training: their texts in one file, their vectors where they lie, in archives.

Nothing of a corpus is in memory, and no vector is copied.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from entcomp.errors import EntcompError
from entcomp.files import locked, naming_file
from entcomp.kaldi.ark import ArkReader, find_archive
from entcomp.kaldi.table import iter_table
from entcomp.training.ranks import first_rank_first, is_first_rank

Item = TypeVar("Item")
BLOCK = 1 << 16  # bytes


@dataclass(frozen=True)
class ArchiveOffset:
    """Where a vector lies: at a byte of a Kaldi archive."""

    archive: Path
    byte: int


def iter_offsets(scp: Path) -> Iterator[tuple[str, ArchiveOffset]]:
    """Yield ``(utt_id, place)`` of a scp that has been read before, in order."""
    archives: dict[str, Path] = {}
    for utt_id, entry in iter_table(scp):
        name, _, byte = entry.rpartition(":")
        if name not in archives:
            archives[name] = find_archive(scp, name)
        yield utt_id, ArchiveOffset(archives[name], int(byte))


class UtteranceDataset(Sequence[Item]):
    """The items of a file that `stored_datasets` wrote; in memory are 8 bytes an item.

    Each access reads a row of JSON, the vectors whose places stand in it, and calls ``make`` with
    what the row then holds. Forked workers share the files; one that is not forked, or another
    rank, opens them itself. Raises EntcompError if an archive has changed since.
    """

    def __init__(self, path: Path, make: Callable[..., Item]) -> None:
        self.path, self.make = path, make
        self._stream = open(path, "rb")
        self._bounds = _line_bounds(path)
        if len(self._bounds) < 2:
            raise self._damaged()
        self._archives: list[tuple[str, int, int]] = self._row(len(self))
        self._readers: dict[tuple[int, int], ArkReader] = {}  # by process and archive

    def __reduce__(self) -> tuple[Any, ...]:
        return UtteranceDataset, (self.path, self.make)

    def __len__(self) -> int:
        return len(self._bounds) - 2  # the last row names the archives

    def __getitem__(self, index: int) -> Item:  # type: ignore[override]  # there are no slices
        return self.make(*self._row(range(len(self))[index]))

    def _row(self, number: int) -> list[Any]:
        begin, end = self._bounds[number : number + 2].tolist()
        line = os.pread(self._stream.fileno(), end - begin, begin)
        try:
            row: list[Any] = json.loads(line, object_hook=self._load)
            if not isinstance(row, list):
                raise TypeError("no row")
        except (AttributeError, LookupError, OSError, TypeError, ValueError, RecursionError):
            raise self._damaged() from None
        return row

    def _damaged(self) -> EntcompError:
        return EntcompError(f"{self.path}: damaged while a training reads it; start that again")

    def _load(self, place: dict[str, int]) -> np.ndarray:
        key = os.getpid(), place["archive"]  # forked readers would move each other's positions
        name, size, time = self._archives[place["archive"]]
        if key not in self._readers:
            if [size, time] != _state(Path(name)):
                raise EntcompError(
                    f"{name}: changed while a training reads it; start the training again"
                )
            self._readers[key] = ArkReader(Path(name))
        return self._readers[key].load("of a training", f"{name}:{place['byte']}")


@contextmanager
def stored_datasets(
    folder: Path,
    train: Iterable[Sequence[Any]],
    dev: Iterable[Sequence[Any]],
    *,
    make: Callable[..., Item],
) -> Iterator[tuple[UtteranceDataset[Item], UtteranceDataset[Item]]]:
    """Rows of the sets of a model in ``folder``, as `UtteranceDataset` while the block runs.

    Rows hold what JSON does, and `ArchiveOffset` for vectors. The first rank takes them, over what
    a killed run may have left, and keeps other trainings from the folder; the others wait for it.
    The files are removed when the block ends, in an error too.
    """
    paths = folder / ".train.jsonl", folder / ".dev.jsonl"
    with locked(folder) if is_first_rank() else nullcontext():
        try:
            with first_rank_first():
                if is_first_rank():
                    for path, rows in zip(paths, (train, dev), strict=True):
                        _write(path, rows)
                both = UtteranceDataset(paths[0], make), UtteranceDataset(paths[1], make)
            yield both
        finally:
            if is_first_rank():
                for path in paths:
                    path.unlink(missing_ok=True)


def _write(path: Path, rows: Iterable[Sequence[Any]]) -> None:
    """A row a line; the last names the archives, with what tells that they have changed."""
    numbers: dict[Path, int] = {}

    def as_json(place: ArchiveOffset) -> dict[str, int]:
        number = numbers.setdefault(place.archive, len(numbers))
        return {"archive": number, "byte": place.byte}

    path.parent.mkdir(parents=True, exist_ok=True)
    with naming_file(path), open(path, "w", encoding="utf-8") as stream:
        for row in rows:
            stream.write(json.dumps(row, default=as_json, ensure_ascii=False) + "\n")
        archives = [(str(archive), *_state(archive)) for archive in numbers]
        stream.write(json.dumps(archives) + "\n")


def _state(archive: Path) -> list[int]:
    found = archive.stat()
    return [found.st_size, found.st_mtime_ns]


def _line_bounds(path: Path) -> np.ndarray:
    """Where the lines of a file begin, and the last one ends: int64 (lines + 1,)."""
    bounds, before = [np.zeros(1, np.int64)], 0
    with open(path, "rb") as stream:
        while block := stream.read(BLOCK):
            bounds.append(np.flatnonzero(np.frombuffer(block, np.uint8) == ord("\n")) + before + 1)
            before += len(block)
    return np.concatenate(bounds)
