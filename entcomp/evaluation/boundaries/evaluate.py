"""Boundary scores of one segmentation of a set, and of chance at the same rate."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from entcomp.artifacts.experiment import UnitsInfo
from entcomp.errors import EntcompError
from entcomp.evaluation.boundaries.metrics import count_boundaries, score_set
from entcomp.evaluation.boundaries.references import Reference, References
from entcomp.evaluation.boundaries.ticks import group_boundaries, inside

# Other group lengths for an utterance, from its id and its own; several stand for their mean.
Chance = Callable[[str, np.ndarray], list[np.ndarray]]


@dataclass(frozen=True)
class Matching:
    """When two boundaries agree: times in ticks, ``shift`` is added to those of the groups."""

    tolerance: int
    lenient: bool = False
    shift: int = 0


def evaluate(
    groups: Iterable[tuple[str, np.ndarray]],
    references: References,
    info: UnitsInfo,
    matching: Matching,
    chance: dict[str, Chance],
    seed: int = 0,
) -> dict[str, Any]:
    """Scores of ``(utt_id, group_lengths)`` pairs against their TextGrids, for JSON.

    Each tier's scores stand under ``segmentation`` and under each name in ``chance``. Utterances
    without a TextGrid are listed under ``missing``. ``rate`` is groups a second of audio. Raises
    EntcompError if no utterance has a TextGrid, or a tier has no boundary at all.
    """
    rows: dict[tuple[str, str], list[np.ndarray]] = defaultdict(list)
    missing: list[str] = []
    scored = num_groups = num_frames = 0
    for utt_id, lengths in groups:
        if utt_id not in references:
            missing.append(utt_id)
            continue
        scored += 1
        num_groups += len(lengths)
        num_frames += int(lengths.sum())
        segmentations = {"segmentation": [lengths]}
        segmentations |= {name: make(utt_id, lengths) for name, make in chance.items()}
        for name, drawn in segmentations.items():
            for tier, row in _count(drawn, references[utt_id], info, matching).items():
                rows[tier, name].append(row)
    if not scored:
        raise EntcompError(f"none of {len(missing)} utterances has a TextGrid; run align first")
    tiers: dict[str, dict[str, Any]] = {tier: {} for tier in references.tiers}
    for (tier, name), counts in rows.items():
        tiers[tier][name] = _score(np.stack(counts), tier, seed)
    rate = num_groups / (num_frames * info.frame_shift)
    return {
        "utterances": scored,
        "missing": missing,
        "rate": rate,
        "mean_span_ms": 1000 / rate,
        "tiers": tiers,
    }


def _count(
    drawn: list[np.ndarray], reference: Reference, info: UnitsInfo, matching: Matching
) -> dict[str, np.ndarray]:
    """A row of counts by tier, the mean over the segmentations in ``drawn``."""
    times = [
        inside(group_boundaries(lengths, info) + matching.shift, reference.duration)
        for lengths in drawn
    ]
    counts = {
        tier: [
            count_boundaries(boundaries, one, matching.tolerance, matching.lenient) for one in times
        ]
        for tier, boundaries in reference.boundaries.items()
    }
    return {tier: np.mean(many, axis=0) for tier, many in counts.items()}


def _score(counts: np.ndarray, tier: str, seed: int) -> dict[str, Any]:
    if not counts[:, 0].sum():
        raise EntcompError(f"tier '{tier}' has no boundary in any utterance; name another tier")
    return score_set(counts, seed=seed)
