"""The boundaries that an aligner found, for as many utterances as have a TextGrid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from entcomp.artifacts.alignments import Alignments
from entcomp.artifacts.ticks import reference_boundaries
from entcomp.formats.textgrid import EVERYONE, Interval, TierChoice


@dataclass(frozen=True)
class Reference:
    """Boundaries by tier, in ticks, of an utterance of ``duration`` seconds, and the intervals.

    ``passed_over`` has a line for each interval that cannot be; ``source`` is the file.
    """

    duration: float
    boundaries: dict[str, np.ndarray]
    passed_over: tuple[str, ...] = ()
    source: str = "TextGrid"
    intervals: Mapping[str, tuple[Interval, ...]] = field(default_factory=dict)


class References(Alignments):
    """The boundaries of TextGrids in ``folder``; each is read once, when first asked for.

    ``choice`` says which intervals of a tier count.
    """

    def __init__(self, folder: Path, tiers: tuple[str, ...], choice: TierChoice = EVERYONE) -> None:
        super().__init__(folder)
        self.tiers = tiers
        self.choice = choice
        self._read: dict[str, Reference] = {}

    def __getitem__(self, utt_id: str) -> Reference:
        """Raises EntcompError if the TextGrid is unreadable or lacks one of the tiers."""
        if utt_id not in self._read:
            grid = self.grid(utt_id)
            tiers = {tier: grid.tier(tier, self.choice) for tier in self.tiers}
            boundaries = {
                tier: reference_boundaries(found, grid.duration) for tier, found in tiers.items()
            }
            lines = [line for tier in self.tiers for line in grid.passed_over(tier, self.choice)]
            self._read[utt_id] = Reference(
                grid.duration, boundaries, tuple(lines), grid.source, tiers
            )
        return self._read[utt_id]

    def describe(self) -> str:
        """What is in the folder, for a set of whose utterances none is."""
        if not self._paths:
            return f"no TextGrid in {self.folder}"
        first = min(self._paths.values()).name
        return (
            f"none of the {len(self)} TextGrids in {self.folder} has the name of an utterance "
            f"(the first is {first})"
        )
