"""Sequences on disk: a training reads its utterances from there, one at a time."""

from __future__ import annotations

import os
import pickle
import sys
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import numpy as np

from entcomp.files import naming_file
from entcomp.training.ranks import first_rank_first, is_first_rank

Item = TypeVar("Item")


class Spilled(Sequence[Item]):
    """The items of a file that `spill` wrote; in memory are 8 bytes an item.

    Each access reads its item anew from its own place, so that forked workers share the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stream = open(path, "rb")
        self._stream.seek(-8, os.SEEK_END)
        self._stream.seek(int.from_bytes(self._stream.read(8), sys.byteorder))
        self._offsets = np.fromfile(self._stream, np.int64)

    def __reduce__(self) -> tuple[type[Spilled], tuple[Path]]:
        """A worker that is not forked opens the file itself."""
        return Spilled, (self.path,)

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def __getitem__(self, index: int) -> Item:  # type: ignore[override]  # there are no slices
        place = range(len(self))[index]
        begin, end = self._offsets[place : place + 2].tolist()
        return pickle.loads(os.pread(self._stream.fileno(), end - begin, begin))


@contextmanager
def spill(path: Path, items: Iterable[Item]) -> Iterator[Spilled[Item]]:
    """Keep ``items`` in a file while the block runs, for all ranks to read.

    The first rank takes the items and writes the file, over what a killed run may have left; the
    others wait for it. It is removed when the block ends, in an error too.
    """
    try:
        with first_rank_first():
            if is_first_rank():
                _write(path, items)
            spilled: Spilled[Item] = Spilled(path)
        yield spilled
    finally:
        if is_first_rank():
            path.unlink(missing_ok=True)


@contextmanager
def spill_both(
    folder: Path, train: Iterable[Item], dev: Iterable[Item]
) -> Iterator[tuple[Spilled[Item], Spilled[Item]]]:
    """`spill` what a model in ``folder`` is trained on, and what it is evaluated on."""
    with spill(folder / ".train.spill", train) as one, spill(folder / ".dev.spill", dev) as other:
        yield one, other


def _write(path: Path, items: Iterable[Item]) -> None:
    """Pickles end to end, then where they begin and end; the last is also the table's own place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    offsets = array("q", [0])
    with naming_file(path), open(path, "wb") as stream:
        for item in items:
            pickled = pickle.dumps(item, pickle.HIGHEST_PROTOCOL)
            offsets.append(offsets[-1] + stream.write(pickled))
        offsets.tofile(stream)
