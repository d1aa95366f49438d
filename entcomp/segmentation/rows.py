"""Utterances laid end to end, so that one numpy call serves thousands of them.

Shapes: N units in all, U utterances, P units that the LM predicted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from entcomp.artifacts.runs import lengths_of, starts_of

# Enough to hide numpy's cost per call, and a few hundred MB at most.
BLOCK_UNITS = 2_000_000
# Id and entropies, forward and backward (or units and None): what groups are made from.
Row = tuple[str, np.ndarray, np.ndarray | None]


def row_of(utt_id: str, vectors: Sequence[np.ndarray]) -> Row:
    """The row of units, or of entropies in one direction or in both."""
    return utt_id, vectors[0], vectors[1] if len(vectors) > 1 else None


@dataclass(frozen=True)
class Predictions:
    """The entropies that LMs predicted, of many utterances end to end: what criteria score.

    ``forward`` (P,) and, where a criterion reads it, ``backward`` (P,): float32, nats. Where a
    criterion reads units, these are ``forward``. ``first`` (U,): where each utterance begins in
    them. A unit that an LM over runs of equal units did not predict is not among them, so
    neighbours are runs there.
    """

    forward: np.ndarray
    first: np.ndarray
    backward: np.ndarray | None = None

    @property
    def rise(self) -> np.ndarray:
        """``H_i - H_{i-1}``, float32 (P,); minus infinity at an utterance's first prediction."""
        rises = np.empty_like(self.forward)
        np.subtract(self.forward[1:], self.forward[:-1], out=rises[1:])
        rises[self.first] = -np.inf
        return rises

    def neighbour(self, values: np.ndarray, offset: int) -> np.ndarray:
        """``values[i + offset]`` (P,) of the same utterance, NaN where it has none there."""
        ends = np.append(self.first[1:], len(values))
        first, end = (np.repeat(edges, ends - self.first) for edges in (self.first, ends))
        where = np.arange(len(values)) + offset
        inside = (first <= where) & (where < end)
        found = np.full_like(values, np.nan)
        found[inside] = values[where[inside]]
        return found

    def following(self, flags: np.ndarray) -> np.ndarray:
        """Where the prediction before, of the same utterance, has a flag: bool (P,)."""
        found = np.zeros(len(flags), bool)
        found[1:] = flags[:-1]
        found[self.first] = False
        return found

    def local_maxima(self, score: np.ndarray) -> np.ndarray:
        """Where a score (P,) exceeds its left neighbour and is not below the right one: bool (P,).

        A plateau so fires once, where it begins, and one prediction of lookahead is enough. An
        utterance's last prediction needs no right neighbour; its first never fires.
        """
        higher = np.zeros(len(score), bool)
        np.greater(score[1:], score[:-1], out=higher[1:])
        higher[self.first] = False
        higher[:-1] &= ~higher[1:]
        return higher


@dataclass(frozen=True)
class Rows:
    """Some utterances: ``values`` (N,) end to end and ``lengths`` (U,), each at least 1.

    ``values`` are units (int32), forward entropies (float32, nats) or, of boundaries that come from
    files, whether a group starts (bool); ``backward`` (N,) are the backward entropies where
    a criterion needs them. NaN means that the LM made no prediction.
    """

    utt_ids: list[str]
    values: np.ndarray
    lengths: np.ndarray
    backward: np.ndarray | None = None

    @classmethod
    def join(cls, block: list[Row]) -> Rows:
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
        return starts_of(self.lengths)

    @cached_property
    def predicted(self) -> np.ndarray:
        """Where the LM made a prediction (P,): everywhere, or where a run of equal units begins."""
        return np.flatnonzero(~np.isnan(self.values))

    @property
    def predictions(self) -> Predictions:
        """The entropies at `predicted`, forward and backward paired run by run."""
        first = np.searchsorted(self.predicted, self.first)
        backward = None if self.backward is None else self.backward[~np.isnan(self.backward)]
        return Predictions(self.values[self.predicted], first, backward)

    @property
    def positions(self) -> np.ndarray:
        """Position of each unit in its utterance (N,)."""
        return np.arange(len(self.values)) - np.repeat(self.first, self.lengths)

    def split(self, starts: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
        """Yield ``(utt_id, group lengths in frames, int32)``; ``starts`` (N,) marks first units."""
        groups = lengths_of(starts)
        before = np.searchsorted(np.flatnonzero(starts), self.first)
        bounds = [*before.tolist(), len(groups)]
        for utt_id, begin, end in zip(self.utt_ids, bounds, bounds[1:], strict=False):
            yield utt_id, groups[begin:end]


def iter_rows(vectors: Iterable[Row], block_units: int = BLOCK_UNITS) -> Iterator[Rows]:
    """Join whole utterances to blocks of about ``block_units`` units."""
    block: list[Row] = []
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
