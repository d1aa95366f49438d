"""Shards of a set: contiguous in the order of ids, so that their scps join to a sorted one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

from entcomp.errors import EntcompError
from entcomp.files import atomic_path
from entcomp.kaldi.table import iter_table

Item = TypeVar("Item")


@dataclass(frozen=True)
class Shard:
    """Part ``index`` of ``count``, counted from 1 as Kaldi's JOB is; ``1/1`` is the whole."""

    index: int = 1
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> Shard:
        """``3/8`` is the third of eight. Raises EntcompError for anything else."""
        index, slash, count = text.partition("/")
        if not (slash and index.isdigit() and count.isdigit() and 1 <= int(index) <= int(count)):
            raise EntcompError(f"--shard {text}: expected i/N with 1 <= i <= N, such as 3/8")
        return cls(int(index), int(count))

    @property
    def suffix(self) -> str:
        """What tells the shard's files apart: ``units.3of8.ark``; empty for the whole."""
        return "" if self.count == 1 else f".{self.index}of{self.count}"

    def bounds(self, total: int) -> tuple[int, int]:
        """First and past-the-last position of the shard among ``total`` items."""
        return total * (self.index - 1) // self.count, total * self.index // self.count

    def take(self, items: Iterable[Item], total: int) -> Iterator[Item]:
        """The shard's items of ``total`` ones."""
        return islice(items, *self.bounds(total))


def merge_scps(folder: Path, name: str, count: int, expected: Iterable[str]) -> int:
    """Concatenate ``name.IofN.scp`` to ``name.scp``, without touching archives; returns its lines.

    ``expected`` are the sorted ids that must be there. Raises EntcompError for a shard that is not
    there, a duplicate, a lost or an unknown utterance.
    """
    path = folder / f"{name}.scp"
    shards = [folder / f"{name}{Shard(i, count).suffix}.scp" for i in range(1, count + 1)]
    wanted = iter(expected)
    lines = 0
    with atomic_path(path) as temporary:
        with open(temporary, "w", encoding="utf-8") as stream:
            for shard in shards:
                for utt_id, entry in iter_table(shard):
                    due = next(wanted, None)
                    if utt_id != due:
                        raise EntcompError(
                            f"{shard}: {utt_id} where {due or 'the end'} was due: an utterance was "
                            f"lost or written twice; rerun this shard"
                        )
                    stream.write(f"{utt_id} {entry}\n")
                    lines += 1
        lost = next(wanted, None)
        if lost is not None:
            raise EntcompError(f"{shards[-1]}: {lost} is in no shard; rerun this shard")
    return lines
