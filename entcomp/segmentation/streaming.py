"""Groups of an utterance whose entropies arrive one by one, each as soon as it is certain."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from entcomp.errors import EntcompError
from entcomp.segmentation.criteria import criterion_names, find_criterion
from entcomp.segmentation.criterion import ThresholdCriterion
from entcomp.segmentation.rows import Predictions, Rows
from entcomp.segmentation.rule import Rule, match, thresholds_of

WINDOW = 500  # units that a running rate is matched on: 10 s at 50 Hz
STEP = 25  # units after which it is matched anew
MORE = 0.25  # by which share more or fewer groups are asked for, to make up for what went wrong


class RunningRule:
    """The rule of a stream; one that matches a rate follows the speech.

    The estimator: `match` on the latest `WINDOW` units, anew every `STEP` units (at first, after
    10% more). For one score that is a running quantile. Groups that are owed (or were too many) are
    asked for in addition, up to `MORE`; after a window's worth of them, the rest is forgotten. The
    first unit is not compared with anything, and never fires.
    """

    def __init__(self, rule: Rule) -> None:
        self.now = rule
        self._asked = rule
        self._heard = np.empty(0, np.float32)
        self._count = 0
        self._next = 1
        self._owed = 0.0
        self._rate = rule.groups_per_unit or 0.0
        if rule.match_rate:
            none: dict[str, Any] = dict.fromkeys(thresholds_of(rule), math.inf)
            self.now = replace(rule, match_rate=None, **none)

    def pieces(self, entropies: np.ndarray) -> Iterator[np.ndarray]:
        """Cut entropies (units,) where thresholds change; for each piece, the rule is `now`."""
        if self._asked.match_rate is None:
            yield entropies
            return
        while len(entropies):
            if self._count == self._next:
                self._match()
            piece = entropies[: self._next - self._count]
            entropies = entropies[len(piece) :]
            self._heard = np.append(self._heard, piece)[-WINDOW:]
            self._count += len(piece)
            self._owed += self._rate * len(piece)
            yield piece

    def made(self, groups: int) -> None:
        """Count groups that have become certain."""
        self._owed -= groups

    def _match(self) -> None:
        usual = self._rate * len(self._heard)
        self._owed = min(max(self._owed, -usual), usual)
        more = min(max(self._owed / usual, -MORE), MORE)
        if not np.isnan(self._heard).all():  # a single run, longer than the window
            asked = replace(self._asked, groups_per_unit=self._rate * (1 + more))
            self.now = match(asked, Rows.join([("", self._heard, None)]))
        self._next += max(1, min(STEP, self._count // 10))


class StreamingGroups:
    """Applies a rule to one utterance; from equal entropies the groups of `group_starts`, exactly.

    A group is certain as soon as the unit after it, and as many predictions more as the criterion
    looks ahead (see `ThresholdCriterion.reach`), are there.
    Holds as many predictions as the criterion looks at, and what `RunningRule` does. Raises
    EntcompError for a criterion that has to know the complete utterance.
    """

    def __init__(self, rule: Rule) -> None:
        kind = rule.kind
        if not isinstance(kind, ThresholdCriterion) or kind.lookahead is None:
            names = criterion_names()
            there = (name for name in names if find_criterion(name).lookahead is not None)
            raise EntcompError(
                f"--criterion {rule.criterion}: cannot stream; available: {', '.join(there)}"
            )
        self.rule = RunningRule(rule)
        self._kind = kind
        self._lookback, self._lookahead = kind.reach(rule)
        self._recent = np.empty(0, np.float32)  # predictions, the last of them undecided
        self._undecided: list[int] = []  # units from each undecided prediction to the next
        self._open = 0  # units of the group that has no end yet
        self._has_ended = False

    def push(self, entropies: np.ndarray) -> list[int]:
        """Lengths in frames of the groups that have become certain.

        ``entropies``: float32 (units,), nats, NaN where there is no prediction; or the units
        themselves, where the criterion reads these. Raises EntcompError after `finish`.
        """
        if self._has_ended:
            raise EntcompError("the utterance was finished; make a new tokenizer for the next")
        pieces = self.rule.pieces(np.asarray(entropies, np.float32))
        closed = []
        for piece in pieces:
            closed += (made := self._push(piece))
            self.rule.made(len(made))
        return closed

    def _push(self, entropies: np.ndarray) -> list[int]:
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
        """The lengths of all that is left; nothing can be pushed after it."""
        closed = self._decide(len(self._undecided))
        if self._open:
            closed.append(self._open)
        self._open, self._has_ended = 0, True
        return closed

    def _decide(self, count: int) -> list[int]:
        """Lengths of the groups that end, by the criterion at the next ``count`` predictions."""
        if count <= 0:
            return []
        decided = self._kind.decide(Predictions(self._recent, np.array([0])), self.rule.now)
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
            long_enough = self._open >= max(1, self.rule.now.min_length)
            if (starts and long_enough) or self._open == self.rule.now.max_length:
                yield self._open
                self._open = 0
            self._open += 1
