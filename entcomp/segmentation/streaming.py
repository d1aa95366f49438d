"""Groups of an utterance whose entropies arrive one by one, each as soon as it is certain."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import numpy as np

from entcomp.errors import EntcompError
from entcomp.segmentation.rows import Rows
from entcomp.segmentation.rule import Rule, fires

CRITERIA = ("global", "relative", "combined", "peak")


class StreamingGroups:
    """Applies a rule to one utterance; from equal entropies the groups of `group_starts`, exactly.

    With ``global``, ``relative`` and ``combined`` a group is certain as soon as the unit behind it
    is there; with ``peak`` one prediction later. Raises EntcompError for a criterion that has to
    know the whole utterance.
    """

    def __init__(self, rule: Rule) -> None:
        if rule.criterion not in CRITERIA:
            raise EntcompError(
                f"--criterion {rule.criterion}: cannot stream; there are: {', '.join(CRITERIA)}"
            )
        self.rule = rule
        self._lookahead = rule.criterion == "peak"
        self._recent: deque[np.float32] = deque(maxlen=3)
        self._waiting = 0  # units from the one on that waits for its right neighbour
        self._open = 0  # units of the group that has no end yet

    def push(self, entropies: np.ndarray) -> list[int]:
        """Lengths in frames of the groups that have become certain.

        ``entropies``: float32 (units,), nats, NaN where there is no prediction.
        """
        flags = (flag for one in entropies for flag in self._decide(np.float32(one)))
        return list(self._close(flags))

    def finish(self) -> list[int]:
        """The lengths of all that is left; nothing is to be pushed after it."""
        flags = self._settle(self._fires(-1)) if self._waiting else ()
        closed = list(self._close(iter(flags)))
        return [*closed, self._open] if self._open else closed

    def _decide(self, entropy: np.float32) -> Iterator[bool]:
        """For each unit of which it is known by now: does it start a group?"""
        if np.isnan(entropy):
            if self._waiting:
                self._waiting += 1
            else:
                yield False
            return
        self._recent.append(entropy)
        if self._lookahead:
            if self._waiting:
                yield from self._settle(self._fires(-2))
            self._waiting = 1
        else:
            yield self._fires(-1)

    def _settle(self, starts: bool) -> Iterator[bool]:
        yield starts
        for _ in range(self._waiting - 1):
            yield False
        self._waiting = 0

    def _fires(self, index: int) -> bool:
        """The criterion at one of the latest predictions, which needs no others."""
        recent = np.array(self._recent, np.float32)
        return bool(fires(Rows([""], recent, np.array([len(recent)])), self.rule)[index])

    def _close(self, flags: Iterator[bool]) -> Iterator[int]:
        """Lengths of the groups that end, by the rule of `limit_lengths`."""
        for starts in flags:
            long_enough = self._open >= max(1, self.rule.min_length)
            if (starts and long_enough) or self._open == self.rule.max_length:
                yield self._open
                self._open = 0
            self._open += 1
