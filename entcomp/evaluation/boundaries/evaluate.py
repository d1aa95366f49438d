"""Boundary scores of one segmentation of a set, and of chance at the same rate."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from entcomp.artifacts.experiment import UnitsInfo
from entcomp.artifacts.ticks import group_boundaries, inside
from entcomp.errors import EntcompError
from entcomp.evaluation.boundaries.metrics import count_boundaries, score_set
from entcomp.evaluation.boundaries.references import Reference, References
from entcomp.evaluation.boundaries.remarks import Remarks

# Other group lengths for an utterance, from its id and its own; several stand for their mean.
Chance = Callable[[str, np.ndarray], list[np.ndarray]]


@dataclass(frozen=True)
class Matching:
    """When two boundaries agree: times in ticks, ``shift`` is added to those of the groups.

    ``dither`` is half the resolution of the references, 0 if they are exact.
    """

    tolerance: int
    lenient: bool = False
    shift: int = 0
    dither: int = 0

    def count(self, reference: np.ndarray, hypothesis: np.ndarray) -> np.ndarray:
        """Plain counts and those of references as intervals, (2, len(COUNTS)); times in ticks."""
        plain = count_boundaries(reference, hypothesis, self.tolerance, self.lenient)
        if not self.dither:
            return np.stack([plain, plain])
        dithered = count_boundaries(
            reference, hypothesis, self.tolerance, self.lenient, self.dither
        )
        return np.stack([plain, dithered])


def evaluate(
    groups: Iterable[tuple[str, np.ndarray]],
    references: References,
    info: UnitsInfo,
    matching: Matching,
    chance: dict[str, Chance],
    seed: int = 0,
    remarks: Remarks | None = None,
) -> dict[str, Any]:
    """Scores of ``(utt_id, group_lengths)`` pairs against their TextGrids, for JSON.

    Each tier's scores stand under ``segmentation`` and under each name in ``chance``: the plain
    ones, and under ``dithered`` those of references as intervals. ``remarks`` (by default those of
    a bad TextGrid being an error) says what is left out; its lists stand in the result. ``rate`` is
    groups a second of audio. Raises EntcompError if no utterance can be scored, or a tier has no
    boundary at all.
    """
    remarks = remarks or Remarks(skip_bad=False)
    rows: dict[tuple[str, str], list[np.ndarray]] = defaultdict(list)
    scored = num_groups = num_frames = 0
    for utt_id, lengths, reference in remarks.usable(groups, references, info):
        scored += 1
        num_groups += len(lengths)
        num_frames += int(lengths.sum())
        segmentations = {"segmentation": [lengths]}
        segmentations |= {name: make(utt_id, lengths) for name, make in chance.items()}
        for name, drawn in segmentations.items():
            for tier, row in _count(drawn, reference, info, matching).items():
                rows[tier, name].append(row)
    tiers: dict[str, dict[str, Any]] = {tier: {} for tier in references.tiers}
    for (tier, name), counts in rows.items():
        tiers[tier][name] = _score(np.stack(counts), tier, seed)
    rate = num_groups / (num_frames * info.frame_shift)
    return {
        "utterances": scored,
        **remarks.for_json(),
        "rate": rate,
        "mean_span_ms": 1000 / rate,
        "tiers": tiers,
    }


def _count(
    drawn: list[np.ndarray], reference: Reference, info: UnitsInfo, matching: Matching
) -> dict[str, np.ndarray]:
    """Counts by tier, (2, len(COUNTS)), the mean over the segmentations in ``drawn``."""
    times = [
        inside(group_boundaries(lengths, info) + matching.shift, reference.duration)
        for lengths in drawn
    ]
    counts = {
        tier: [matching.count(boundaries, one) for one in times]
        for tier, boundaries in reference.boundaries.items()
    }
    return {tier: np.mean(many, axis=0) for tier, many in counts.items()}


def _score(counts: np.ndarray, tier: str, seed: int) -> dict[str, Any]:
    """Of counts (utterances, 2, len(COUNTS))."""
    plain, dithered = counts.swapaxes(0, 1)
    if not plain[:, 0].sum():
        raise EntcompError(f"tier '{tier}' has no boundary in any utterance; name another tier")
    return score_set(plain, seed) | {"dithered": score_set(dithered, seed)}
