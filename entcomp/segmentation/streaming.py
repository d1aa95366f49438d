"""Groups of an utterance whose entropies arrive one by one, each as soon as it is certain."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from entcomp.errors import EntcompError
from entcomp.segmentation.criteria import criterion_names, find_criterion
from entcomp.segmentation.criterion import EntropyCriterion
from entcomp.segmentation.rows import Predictions
from entcomp.segmentation.rule import Rule


class StreamingGroups:
    """Applies a rule to one utterance; from equal entropies the groups of `group_starts`, exactly.

    A group is certain as soon as the unit after it, and as many predictions more as the criterion
    looks ahead (see `EntropyCriterion.reach`), are there.
    Holds as many predictions as the criterion looks at. Raises EntcompError for a criterion that
    has to know the complete utterance.
    """

    def __init__(self, rule: Rule) -> None:
        kind = rule.kind
        if not isinstance(kind, EntropyCriterion) or kind.lookahead is None:
            names = criterion_names()
            there = (name for name in names if find_criterion(name).lookahead is not None)
            raise EntcompError(
                f"--criterion {rule.criterion}: cannot stream; available: {', '.join(there)}"
            )
        self.rule = rule
        self._kind = kind
        self._lookback, self._lookahead = kind.reach(rule)
        self._recent = np.empty(0, np.float32)  # predictions, the last of them undecided
        self._undecided: list[int] = []  # units from each undecided prediction to the next
        self._open = 0  # units of the group that has no end yet

    def push(self, entropies: np.ndarray) -> list[int]:
        """Lengths in frames of the groups that have become certain.

        ``entropies``: float32 (units,), nats, NaN where there is no prediction.
        """
        entropies = np.asarray(entropies, np.float32)
        where = np.flatnonzero(~np.isnan(entropies))
        units = np.diff(where, prepend=0, append=len(entropies)).tolist()
        repeats = units.pop(0)  # of the latest prediction
        closed: list[int] = []
        if self._undecided:
            self._undecided[-1] += repeats
        else:
            closed += self._close([False] * repeats)
        self._undecided += units
        self._recent = np.append(self._recent, entropies[where])
        return closed + self._decide(len(self._undecided) - self._lookahead)

    def finish(self) -> list[int]:
        """The lengths of all that is left; nothing is to be pushed after it."""
        closed = self._decide(len(self._undecided))
        return [*closed, self._open] if self._open else closed

    def _decide(self, count: int) -> list[int]:
        """Lengths of the groups that end, by the criterion at the next ``count`` predictions."""
        if count <= 0:
            return []
        decided = self._kind.decide(Predictions(self._recent, np.array([0])), self.rule)
        decided = decided[len(decided) - len(self._undecided) :]
        flags = []
        for starts, units in zip(decided[:count].tolist(), self._undecided[:count], strict=True):
            flags += [starts] + [False] * (units - 1)
        del self._undecided[:count]
        kept = len(self._undecided) + self._lookback
        self._recent = self._recent[max(0, len(self._recent) - kept) :].copy()
        return list(self._close(flags))

    def _close(self, flags: list[bool]) -> Iterator[int]:
        """Lengths of the groups that end, by the rule of `limit_lengths`."""
        for starts in flags:
            long_enough = self._open >= max(1, self.rule.min_length)
            if (starts and long_enough) or self._open == self.rule.max_length:
                yield self._open
                self._open = 0
            self._open += 1
