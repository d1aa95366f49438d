"""A resolved rule, with every threshold in nats, and the groups that it makes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from entcomp.artifacts.experiment import Direction
from entcomp.segmentation import baselines, criteria
from entcomp.segmentation.rows import Rows, limit_lengths

# The thresholds that each criterion on entropies has; the baselines have none.
THRESHOLDS: dict[str, tuple[str, ...]] = {
    "global": ("theta_g",),
    "relative": ("theta_r",),
    "combined": ("theta_g", "theta_r"),
    "peak": ("theta_g",),
    "bidirectional": ("theta_z",),
}
BASELINES = ("dedup", "fixed", "uniform", "random")


@dataclass(frozen=True)
class Rule:
    """All that the groups of an utterance depend on, beside the utterance.

    ``theta_g`` and ``theta_r`` are in nats, ``theta_z`` in standard deviations; each is a float32
    number, so that comparing in float32 or float64 decides alike. ``moments`` are the ``(mean,
    std)`` of forward and of backward entropies on the calibration set. ``window`` is in frames.
    """

    criterion: str
    theta_g: float | None = None
    theta_r: float | None = None
    theta_z: float | None = None
    moments: tuple[tuple[float, float], tuple[float, float]] | None = None
    peaks: bool = False
    window: int | None = None
    groups_per_unit: float | None = None
    seed: int | None = None
    min_length: int = 1
    max_length: int | None = None

    @property
    def directions(self) -> list[Direction]:
        """Of the LMs whose entropies are read; none where groups come from units alone."""
        if self.criterion in BASELINES:
            return []
        return ["forward", "backward"] if self.criterion == "bidirectional" else ["forward"]


def group_starts(rows: Rows, rule: Rule) -> np.ndarray:
    """Which units start a group: bool (N,).

    Unit 0 of an utterance always does. A unit without a prediction (NaN) does only where
    ``max_length`` cuts.
    """
    if rule.criterion in BASELINES:
        starts = _baseline(rows, rule)
    else:
        starts = np.zeros(len(rows.values), bool)
        starts[rows.predicted] = fires(rows, rule)
    starts[rows.first] = True
    return limit_lengths(starts, rows.lengths, rule.min_length, rule.max_length)


def edge_scores(rows: Rows, rule: Rule) -> np.ndarray:
    """`criteria.bidirectional_score` of the predicted positions (P,).

    An LM over runs of equal units predicts each run once in each direction, though not always at
    the same frame of it, so the two are paired run by run.
    """
    assert rows.backward is not None and rule.moments is not None
    backward = rows.backward[~np.isnan(rows.backward)]
    first = np.searchsorted(rows.predicted, rows.first)
    forward = rows.values[rows.predicted]
    return criteria.bidirectional_score(forward, backward, first, *rule.moments)


def fires(rows: Rows, rule: Rule) -> np.ndarray:
    """Where a criterion fires, among the predicted positions: bool (P,)."""
    entropy = rows.values[rows.predicted]
    first = np.searchsorted(rows.predicted, rows.first)
    match rule:
        case Rule("global", theta_g=float(theta_g)):
            return criteria.global_threshold(entropy, theta_g)
        case Rule("relative", theta_r=float(theta_r)):
            return criteria.relative(entropy, first, theta_r)
        case Rule("combined", theta_g=float(theta_g), theta_r=float(theta_r)):
            return criteria.combined(entropy, first, theta_g, theta_r)
        case Rule("peak", theta_g=float(theta_g)):
            return criteria.peak(entropy, first, theta_g)
        case Rule("bidirectional", theta_z=float(theta_z)):
            score = edge_scores(rows, rule)
            return criteria.bidirectional(score, first, theta_z, rule.peaks)
    raise ValueError(f"not a resolved rule: {rule}")


def _baseline(rows: Rows, rule: Rule) -> np.ndarray:
    match rule:
        case Rule("dedup"):
            return baselines.dedup(rows.values)
        case Rule("fixed", window=int(window)):
            return baselines.fixed(rows.lengths, window)
        case Rule("uniform", groups_per_unit=float(rate)):
            return baselines.uniform(rows.lengths, rate)
        case Rule("random", groups_per_unit=float(rate), seed=int(seed)):
            return baselines.random(rows.utt_ids, rows.lengths, rate, seed)
    raise ValueError(f"not a resolved rule: {rule}")
