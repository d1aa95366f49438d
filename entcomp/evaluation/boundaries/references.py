"""The boundaries that an aligner found, for as many utterances as have a TextGrid."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from entcomp.errors import EntcompError
from entcomp.evaluation.boundaries.ticks import reference_boundaries
from entcomp.formats.textgrid import TextGrid, read_textgrid


@dataclass(frozen=True)
class Reference:
    """Boundaries by tier, in ticks, of an utterance of ``duration`` seconds."""

    duration: float
    boundaries: dict[str, np.ndarray]


class References:
    """TextGrids of a folder, named ``<utt_id>.TextGrid`` at any depth, as MFA leaves them.

    Each is read once, when first asked for. Raises EntcompError for a file name that is there
    twice, since either could be meant.
    """

    def __init__(self, folder: Path, tiers: tuple[str, ...]) -> None:
        self.folder = folder
        self.tiers = tiers
        self._paths: dict[str, Path] = {}
        self._read: dict[str, Reference] = {}
        for path in sorted(folder.rglob("*.TextGrid")):
            other = self._paths.setdefault(path.stem, path)
            if other != path:
                raise EntcompError(f"{path}: also at {other}; keep one of them")

    def __contains__(self, utt_id: str) -> bool:
        return utt_id in self._paths

    def grid(self, utt_id: str) -> TextGrid:
        """Raises EntcompError if the TextGrid is unreadable."""
        return read_textgrid(self._paths[utt_id])

    def __getitem__(self, utt_id: str) -> Reference:
        """Raises EntcompError if the TextGrid is unreadable or lacks one of the tiers."""
        if utt_id not in self._read:
            grid = self.grid(utt_id)
            boundaries = {
                tier: reference_boundaries(grid.tier(tier), grid.duration) for tier in self.tiers
            }
            self._read[utt_id] = Reference(grid.duration, boundaries)
        return self._read[utt_id]
