"""Recordings of any length to units, a few chunks at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from entcomp.errors import EntcompError
from entcomp.units.codebook import Codebook
from entcomp.units.extractor import Chunk, Extractor, check_length, extract_chunk, iter_chunks
from entcomp.units.features import parallel


@dataclass
class Recording:
    """A waveform in ``blocks``, float32 (samples,), at the extractor's rate.

    ``name`` stands in errors; ``utt_id`` and ``first``, the sample at which it begins in a longer
    recording, are for whoever asked. Once it has gone through `iter_units`, ``samples`` tells its
    length, and either ``units``, int32 (frames,), or ``error`` what became of it.
    """

    name: str
    blocks: Iterable[np.ndarray]
    utt_id: str = ""
    first: int = 0
    samples: int = 0
    units: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int32))
    error: EntcompError | None = None

    def chunks(self, extractor: Extractor) -> Iterator[tuple[Recording, Chunk | None]]:
        """Chunks to extract from; None comes after the last one, or where reading failed."""
        try:
            for chunk in iter_chunks(extractor.grid, extractor.sample_rate, self._counted()):
                yield self, chunk
            check_length(extractor, self.samples, self.name)
        except EntcompError as error:
            self.error = error
        yield self, None

    def _counted(self) -> Iterator[np.ndarray]:
        for block in self.blocks:
            self.samples += len(block)
            yield block


def iter_units(
    recordings: Iterable[Recording], extractor: Extractor, codebook: Codebook, num_jobs: int
) -> Iterator[Recording]:
    """Fill in the units of recordings, and yield them in order; a bad one has its ``error`` set.

    ``num_jobs`` chunks are extracted at a time, of one recording or of several.
    """

    def work(item: tuple[Recording, Chunk | None]) -> np.ndarray:
        _, chunk = item
        if chunk is None:
            return np.zeros(0, np.int32)
        return codebook.assign(extract_chunk(extractor, chunk))

    chunks = (item for one in recordings for item in one.chunks(extractor))
    parts: list[np.ndarray] = []
    for (recording, chunk), future in parallel(work, chunks, num_jobs):
        try:
            parts.append(future.result())
        except EntcompError as error:
            recording.error = error
        if chunk is None:
            recording.units, parts = np.concatenate(parts), []
            yield recording
