"""What a stream of groups costs, if each group is sent as one unit, with or without its length.

The vectors that CALE makes of groups are continuous: their stream has a rate, and no bit rate.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from entcomp.evaluation.bootstrap import with_intervals
from entcomp.evaluation.units.counts import JointCounts, entropy


def units_of_groups(units: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The most frequent unit of each group, the lowest of several, and how often it occurs there.

    ``units`` (frames,), ``lengths`` (groups,) in frames; both results (groups,).
    """
    owners = np.repeat(np.arange(len(lengths)), lengths)
    (groups, found), numbers = np.unique(np.stack([owners, units]), axis=1, return_counts=True)
    order = np.lexsort((found, -numbers, groups))
    first = order[np.unique(groups[order], return_index=True)[1]]
    return found[first], numbers[first]


def stream_scores(
    utterances: Sequence[tuple[np.ndarray, np.ndarray]], frame_shift: float, seed: int = 0
) -> dict[str, Any]:
    """Scores of ``(units, group_lengths)`` with intervals; for JSON.

    ``rate`` is groups a second. A group's symbol is its most frequent unit, or that and its length:
    ``entropy`` and ``entropy_with_lengths`` are those of the symbols' distribution in this set, in
    nats a group, so that rate * entropy / ln 2 is what the best code for one symbol at a time would
    take, ``bits_per_second`` and ``bits_per_second_with_lengths``. ``kept`` is the share of frames
    whose unit is that of their group: 1 for raw units and for runs.
    """
    symbols = [units_of_groups(units, lengths) for units, lengths in utterances]
    pairs = JointCounts.of(
        (found, lengths) for (found, _), (_, lengths) in zip(symbols, utterances, strict=True)
    )
    sums = np.array(
        [
            (len(lengths), len(units), numbers.sum())
            for (_, numbers), (units, lengths) in zip(symbols, utterances, strict=True)
        ]
    )

    def measure(weights: np.ndarray) -> dict[str, float]:
        groups, frames, kept = (weights @ sums).tolist()
        rate = groups / (frames * frame_shift)
        totals = pairs.totals(weights)
        plain, timed = entropy(np.bincount(pairs.rows, totals)), entropy(totals)
        return {
            "rate": rate,
            "entropy": plain,
            "entropy_with_lengths": timed,
            "bits_per_second": rate * plain / np.log(2),
            "bits_per_second_with_lengths": rate * timed / np.log(2),
            "kept": kept / frames,
        }

    return with_intervals(measure, len(utterances), seed, ("kept",))
