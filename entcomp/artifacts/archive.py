"""Vectors of a set, one an utterance, beside the manifest of the stage that wrote them.

What `Units`, `Entropies` and `Groups` have in common. An archive is read in order of ids, and only
an utterance at a time is in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from entcomp.artifacts.shard import Shard
from entcomp.artifacts.stage import archive_sha256, read_stage
from entcomp.errors import EntcompError
from entcomp.kaldi.ark import ArkReader, VectorError
from entcomp.kaldi.table import iter_table, join
from entcomp.skipped import SkippedUtterances

Row = tuple[str, list[np.ndarray]]
# What is wrong with the vectors of an utterance, in words, or None.
Fault = Callable[[list[np.ndarray]], str | None]


@dataclass(frozen=True)
class Archive:
    """``<name>.{ark,scp}`` in ``folder``, and ``<manifest>.json``, which other toolkits lack."""

    folder: Path
    name: str
    manifest: str = "stage"

    @property
    def scp(self) -> Path:
        return self.folder / f"{self.name}.scp"

    @cached_property
    def inputs(self) -> dict[str, Any]:
        """What the stage was made from; empty without a manifest."""
        return read_stage(self.folder, self.manifest)["inputs"]

    @cached_property
    def outputs(self) -> dict[str, Any]:
        """Counts and hashes of what the stage made; empty without a manifest."""
        return read_stage(self.folder, self.manifest)["outputs"]

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the archive: as its manifest says or, without one, of its bytes."""
        return archive_sha256(self.folder, self.name, self.manifest)

    def check_exists(self, remedy: str) -> None:
        """Raises EntcompError where there is no scp."""
        if not self.scp.exists():
            raise EntcompError(f"{self.scp}: no such file; {remedy}")

    def ids(self) -> Iterator[str]:
        """Ids in order, without a look into the archive."""
        return (utt_id for utt_id, _ in iter_table(self.scp))

    def count(self) -> int:
        """Utterances."""
        return sum(1 for _ in self.ids())


def iter_rows(
    archives: Sequence[Archive],
    fault: Fault,
    skipped: SkippedUtterances | None = None,
    shard: Shard = Shard(),
) -> Iterator[Row]:
    """Yield ``(utt_id, vectors)`` of the first archive's utterances, a vector from each archive.

    An utterance that another archive lacks, that cannot be read, or in which ``fault`` finds
    something goes to ``skipped``; without it the first one raises EntcompError.
    """
    scps = [one.scp for one in archives]
    lines = iter_table(scps[0])
    if shard.count > 1:
        lines = shard.take(lines, archives[0].count())
    with ExitStack() as stack:
        readers = [stack.enter_context(ArkReader(scp)) for scp in scps]
        for (utt_id, entry), *others in join(lines, *map(iter_table, scps[1:])):
            entries = [entry, *(row and row[1] for row in others)]
            try:
                vectors = _load(utt_id, readers, entries)
                if reason := fault(vectors):
                    raise VectorError(f"{scps[0]}: {reason}")
            except VectorError as error:
                if skipped is None:
                    raise EntcompError(f"{error} (utterance {utt_id})") from None
                skipped.add(utt_id, str(error))
            else:
                yield utt_id, vectors


def _load(
    utt_id: str, readers: Sequence[ArkReader], entries: Sequence[str | None]
) -> list[np.ndarray]:
    vectors = []
    for reader, entry in zip(readers, entries, strict=True):
        if entry is None:
            raise VectorError(f"{reader.scp}: {utt_id} is not there; rerun its stage")
        vectors.append(reader.load(utt_id, entry))
    return vectors


def find_row(rows: Iterable[tuple[str, np.ndarray]], utt_id: str, folder: Path) -> np.ndarray:
    """The vector of one utterance. Raises EntcompError, naming the folder, where there is none."""
    for found, vector in rows:
        if found == utt_id:
            return vector
    raise EntcompError(f"{folder}: no utterance {utt_id}; run its stage, or name another one")
