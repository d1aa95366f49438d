"""Utterances laid end to end, so that one numpy call serves thousands of them.

Shapes: N units in all, U utterances, P units that the LM predicted, G groups.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

# Enough to hide numpy's cost per call, and a few hundred MB at most.
BLOCK_UNITS = 2_000_000


@dataclass(frozen=True)
class Rows:
    """Some utterances: ``values`` (N,) end to end and ``lengths`` (U,), each at least 1.

    ``values`` are units (int32) or forward entropies (float32, nats); ``backward`` (N,) are the
    backward entropies where a criterion needs them. NaN means that the LM made no prediction.
    """

    utt_ids: list[str]
    values: np.ndarray
    lengths: np.ndarray
    backward: np.ndarray | None = None

    @classmethod
    def join(cls, block: list[tuple[str, np.ndarray, np.ndarray | None]]) -> Rows:
        """Lay ``(utt_id, values, backward or None)`` end to end."""
        utt_ids, values, backward = zip(*block, strict=True)
        return cls(
            list(utt_ids),
            np.concatenate(values),
            np.array([len(one) for one in values]),
            None if backward[0] is None else np.concatenate(backward),
        )

    @cached_property
    def first(self) -> np.ndarray:
        """Where each utterance begins (U,)."""
        return np.cumsum(self.lengths) - self.lengths

    @cached_property
    def predicted(self) -> np.ndarray:
        """Where the LM made a prediction (P,): everywhere, or where a run of equal units begins."""
        return np.flatnonzero(~np.isnan(self.values))

    def split(self, starts: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
        """Yield ``(utt_id, group lengths in frames, int32)``; ``starts`` (N,) marks first units."""
        where = np.flatnonzero(starts)
        groups = np.diff(where, append=len(starts)).astype(np.int32)
        bounds = np.append(np.searchsorted(where, self.first), len(groups)).tolist()
        for utt_id, begin, end in zip(self.utt_ids, bounds, bounds[1:], strict=False):
            yield utt_id, groups[begin:end]


def iter_rows(
    vectors: Iterable[tuple[str, np.ndarray, np.ndarray | None]], block_units: int = BLOCK_UNITS
) -> Iterator[Rows]:
    """Join whole utterances to blocks of about ``block_units`` units."""
    block: list[tuple[str, np.ndarray, np.ndarray | None]] = []
    units = 0
    for row in vectors:
        block.append(row)
        units += len(row[1])
        if units >= block_units:
            yield Rows.join(block)
            block, units = [], 0
    if block:
        yield Rows.join(block)


def limit_lengths(
    starts: np.ndarray, lengths: np.ndarray, min_length: int = 1, max_length: int | None = None
) -> np.ndarray:
    """Drop and add starts (N,) so that groups have ``min_length`` to ``max_length`` frames.

    From left to right: a start nearer than ``min_length`` to the last kept one is dropped, and a
    group that has reached ``max_length`` ends there. So a decision needs no unit to its right; in
    return an utterance's last group may be shorter than ``min_length``.
    """
    if min_length == 1 and max_length is None:
        return starts
    total = len(starts)
    upcoming = np.append(np.where(starts, np.arange(total), total), total)
    upcoming = np.minimum.accumulate(upcoming[::-1])[::-1]  # first start at or after each unit
    ends = np.cumsum(lengths)
    at = ends - lengths
    kept = np.zeros(total, bool)
    while len(at):  # one step a group, for all utterances at once
        kept[at] = True
        at = np.minimum(upcoming[np.minimum(at + min_length, total)], at + (max_length or total))
        inside = at < ends
        at, ends = at[inside], ends[inside]
    return kept
