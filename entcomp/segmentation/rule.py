"""A resolved rule, with every threshold in its unit, and the groups that it makes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from entcomp.artifacts.experiment import Direction
from entcomp.artifacts.record import parse_record
from entcomp.errors import EntcompError
from entcomp.segmentation import BOUNDARIES, MATCHES
from entcomp.segmentation.criteria import find_criterion
from entcomp.segmentation.criterion import Criterion, ThresholdCriterion
from entcomp.segmentation.rows import Rows, limit_lengths

REMEDY = "rerun segment"  # where threshold.json is damaged
# Fields that the first threshold.json did not have: without them, bytes and hashes are as before.
LATER = ("boundary", "match_rate", "options")


@dataclass(frozen=True)
class Rule:
    """All that the groups of an utterance depend on, beside the utterance.

    ``theta_g`` and ``theta_r`` are in nats, ``theta_z`` is in the unit of the criterion's own
    score, such as standard deviations; each is a float32 number, so that comparing in float32 or
    float64 decides alike. ``moments`` are the ``(mean, std)`` of the entropies of each direction on
    the calibration set. ``window`` is in frames. ``boundary``: is a unit that fires the ``first``
    of its group or the ``last``? Limits on the length hold for the groups that result.
    ``match_rate``: thresholds are not known yet but resolved, by `match`, on each ``set``,
    ``speaker`` or ``utterance``, so that it has ``groups_per_unit``. ``options`` are the
    criterion's own, and what it found in files: JSON values.
    """

    criterion: str
    theta_g: float | None = None
    theta_r: float | None = None
    theta_z: float | None = None
    moments: tuple[tuple[float, float], ...] | None = None
    peaks: bool = False
    window: int | None = None
    groups_per_unit: float | None = None
    seed: int | None = None
    min_length: int = 1
    max_length: int | None = None
    boundary: str = "first"
    match_rate: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any], path: Path = Path("threshold.json")) -> Rule:
        """The rule in a ``threshold.json``, among other facts.

        Raises EntcompError, naming the file, for values of other types, and for a rule that its
        criterion cannot work by.
        """
        values = {one.name: stored[one.name] for one in fields(cls) if one.name in stored}
        rule = parse_record(cls, values, path, REMEDY)
        try:
            fault = rule._fault()
        except EntcompError as error:  # a criterion that is not installed, say
            raise EntcompError(f"{path}: {error}") from None
        if fault:
            raise EntcompError(f"{path}: {fault}; {REMEDY}")
        return rule

    def _fault(self) -> str | None:
        """What cannot be, if anything: found by grouping a made-up utterance."""
        lengths = (self.min_length, self.max_length, self.window)
        if any(one is not None and one < 1 for one in lengths):
            return "a length below 1"
        if self.boundary not in BOUNDARIES:
            return f"a boundary {self.boundary!r}"
        if self.match_rate not in (None, *MATCHES):
            return f"a match_rate {self.match_rate!r}"
        for one in fields(self):
            value = getattr(self, one.name)
            if isinstance(value, float) and not math.isfinite(value):
                return f"{one.name} is {value}"
        values = np.arange(4, dtype=np.float32 if self.directions else np.int32)
        try:
            group_one("made-up", values, values if len(self.directions) > 1 else None, self)
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            return f"no rule of --criterion {self.criterion} ({error})"
        return None

    def as_json(self) -> dict[str, Any]:
        """As ``threshold.json`` holds it: `LATER` fields only where they say something."""
        values = asdict(self)
        default = asdict(Rule(self.criterion))
        return {k: v for k, v in values.items() if k not in LATER or v != default[k]}

    @property
    def kind(self) -> Criterion:
        """Raises EntcompError where the criterion is not installed."""
        return find_criterion(self.criterion)

    @property
    def directions(self) -> list[Direction]:
        """Of the LMs whose entropies are read; none where groups come from units alone."""
        return list(self.kind.directions)

    def threshold(self, name: str) -> float:
        """Raises ValueError for one that was not resolved."""
        value: float | None = getattr(self, name)
        if value is None:
            raise ValueError(f"not a resolved rule: {self}")
        return value


def group_starts(rows: Rows, rule: Rule, scores: Sequence[np.ndarray] | None = None) -> np.ndarray:
    """Which units start a group: bool (N,).

    Unit 0 of an utterance always does. A unit without a prediction (NaN) does only where
    ``max_length`` cuts. ``scores`` are those of a `ThresholdCriterion`, where they are known.
    """
    kind = rule.kind
    known = {"scores": scores} if isinstance(kind, ThresholdCriterion) else {}
    starts = kind.starts(rows, rule, **known)
    starts[rows.first] = True
    return limit_lengths(starts, rows.lengths, rule.min_length, rule.max_length)


def group_one(
    utt_id: str, values: np.ndarray, backward: np.ndarray | None, rule: Rule
) -> np.ndarray:
    """Group lengths of one utterance in frames: int32 (groups,), which sum to ``len(values)``.

    ``values`` (frames,) are units or forward entropies, as the criterion reads; ``backward``
    (frames,) the backward entropies where it reads those. Random draws depend on ``utt_id``. A rule
    that matches a rate does so on this utterance.
    """
    rows = Rows.join([(utt_id, values, backward)])
    rule = match(rule, rows) if rule.match_rate else rule
    ((_, groups),) = rows.split(group_starts(rows, rule))
    return groups


def thresholds_of(rule: Rule) -> list[str]:
    """Names of the thresholds that the criterion compares with, such as ``theta_g``."""
    kind = rule.kind
    return [one.name for one in kind.thresholds] if isinstance(kind, ThresholdCriterion) else []


def match(rule: Rule, rows: Rows) -> Rule:
    """The rule with the thresholds that come nearest to its rate on these utterances together.

    Candidates are all values that the scores take; several thresholds rise in turns, each at the
    same share of its values. Groups, which get fewer meanwhile, are counted, by bisection.
    """
    kind, rate = rule.kind, rule.groups_per_unit
    if not isinstance(kind, ThresholdCriterion) or rate is None:
        raise ValueError(f"no thresholds, or no rate to match: {rule}")
    scores = kind.scores(rows.predictions, rule)
    candidates = [_candidates(values) for values in scores]
    turns = _turns([len(one) - 1 for one in candidates])

    def at(step: int) -> Rule:
        found: dict[str, Any] = {}
        for index, (name, one) in enumerate(zip(thresholds_of(rule), candidates, strict=True)):
            found[name] = float(one[np.count_nonzero(turns[:step] == index)])
        return replace(rule, match_rate=None, **found)

    def excess(step: int) -> float:
        return np.count_nonzero(group_starts(rows, at(step), scores)) - rate * len(rows.values)

    low, high = 0, len(turns)
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if excess(middle) > 0 else (low, middle)
    return at(min(low, max(low - 1, 0), key=lambda step: abs(excess(step))))


def _candidates(scores: np.ndarray) -> np.ndarray:
    """Thresholds from just below all scores to the highest: float32, rising."""
    values = np.unique(scores[np.isfinite(scores)].astype(np.float32))
    lowest = np.nextafter(values[:1], np.float32(-np.inf))
    return np.concatenate([lowest, values]) if len(values) else np.zeros(1, np.float32)


def _turns(counts: list[int]) -> np.ndarray:
    """Which of several thresholds rises at each step: one at a time, (sum of counts,)."""
    which = np.repeat(np.arange(len(counts), dtype=np.int8), counts)
    when = np.concatenate([np.arange(count) / max(count, 1) for count in counts])
    return which[np.argsort(when, kind="stable")]
