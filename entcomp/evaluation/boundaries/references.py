"""The boundaries that an aligner found, for as many utterances as have a TextGrid."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from entcomp.artifacts.alignments import Alignments
from entcomp.evaluation.boundaries.ticks import reference_boundaries


@dataclass(frozen=True)
class Reference:
    """Boundaries by tier, in ticks, of an utterance of ``duration`` seconds."""

    duration: float
    boundaries: dict[str, np.ndarray]


class References(Alignments):
    """The boundaries of TextGrids in ``folder``; each is read once, when first asked for."""

    def __init__(self, folder: Path, tiers: tuple[str, ...]) -> None:
        super().__init__(folder)
        self.tiers = tiers
        self._read: dict[str, Reference] = {}

    def __getitem__(self, utt_id: str) -> Reference:
        """Raises EntcompError if the TextGrid is unreadable or lacks one of the tiers."""
        if utt_id not in self._read:
            grid = self.grid(utt_id)
            boundaries = {
                tier: reference_boundaries(grid.tier(tier), grid.duration) for tier in self.tiers
            }
            self._read[utt_id] = Reference(grid.duration, boundaries)
        return self._read[utt_id]
