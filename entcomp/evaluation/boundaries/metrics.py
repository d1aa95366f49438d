"""Boundary scores: how well the starts of groups agree with those of words and phones.

Scores are ratios of sums over utterances. So each utterance is first reduced to a row of counts
(`count_boundaries`); the score of a set is that of the summed rows (`scores`), and bootstrap
intervals are percentiles of the scores of sums over resampled utterances.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from entcomp.artifacts.ticks import TICKS_PER_SECOND, to_ticks
from entcomp.evaluation.bootstrap import percentile_interval, resampled_sums, rounded
from entcomp.evaluation.boundaries.dither import mean_matches, shares_near
from entcomp.evaluation.boundaries.matching import match_one_to_one, nearest_distances

COUNTS = (
    "reference",  # reference boundaries
    "hypothesis",  # boundaries of the segmentation
    "matched_reference",
    "matched_hypothesis",  # equal to the former under one-to-one matching
    "near",  # boundaries of the segmentation within NEAR of a reference one
    "compared",  # boundaries of the segmentation in utterances that have a reference one
    "absolute",  # sum of how far they are from the nearest reference boundary, in ticks
    "inside",  # of them, those between the first reference boundary and the last
    "signed",  # sum of how far these are behind the nearest, in ticks
)
NEAR = to_ticks(0.05)
SCORES = (
    "precision",
    "recall",
    "f1",
    "over_segmentation",
    "r_value",
    "within_50ms",
    "mean_signed_deviation_ms",
    "mean_absolute_deviation_ms",
)


def count_boundaries(
    reference: np.ndarray,
    hypothesis: np.ndarray,
    tolerance: int,
    lenient: bool = False,
    dither: int = 0,
) -> np.ndarray:
    """One utterance's row of `COUNTS`, float64. Boundaries are sorted, in ticks.

    ``lenient`` counts a boundary as matched if any of the other side is within ``tolerance``, as
    the paper's word and phone boundary alignment does; else matching is one-to-one. With ``dither``
    ticks, half the resolution of the references, what is matched and near is the mean over the
    intervals that references stand for (see `dither`); 0 takes them as exact.
    """
    sizes = len(reference), len(hypothesis)
    if not all(sizes):
        return np.array((*sizes, *[0] * (len(COUNTS) - 2)), np.float64)
    if lenient:
        found = _near(reference, hypothesis, tolerance, dither)
        hits = _near(hypothesis, reference, tolerance, dither)
    elif dither:
        found = hits = mean_matches(reference, hypothesis, tolerance, dither)
    else:
        found = hits = match_one_to_one(reference, hypothesis, tolerance)
    near = _near(hypothesis, reference, NEAR, dither)
    distances = nearest_distances(hypothesis, reference)
    far = len(distances), abs(distances).sum()
    # Outside there are neighbours on one side only, so that equal spacing would not come to 0.
    inside = (hypothesis >= reference[0]) & (hypothesis <= reference[-1])
    shift = np.count_nonzero(inside), distances[inside].sum()
    return np.array((*sizes, found, hits, near, *far, *shift), np.float64)


def scores(counts: np.ndarray) -> dict[str, np.ndarray]:
    """`SCORES` of summed counts, shape (..., len(COUNTS)); the leading axes are kept.

    Over-segmentation is boundaries per reference boundary, minus one (R/P - 1 under one-to-one
    matching). R-value: Räsänen et al., Interspeech 2009: 1 - (|r1| + |r2|) / 2 with
    r1 = sqrt((1 - R)^2 + OS^2) and r2 = (R - 1 - OS) / sqrt(2). A share of nothing is 0; a mean
    of nothing is NaN.
    """
    column = dict(zip(COUNTS, np.moveaxis(counts, -1, 0), strict=True))
    precision = _ratio(column["matched_hypothesis"], column["hypothesis"])
    recall = _ratio(column["matched_reference"], column["reference"])
    over = _ratio(column["hypothesis"], column["reference"], empty=np.nan) - 1
    r1 = np.hypot(1 - recall, over)
    r2 = (recall - 1 - over) / np.sqrt(2)
    ms = TICKS_PER_SECOND / 1000
    return {
        "precision": precision,
        "recall": recall,
        "f1": _ratio(2 * precision * recall, precision + recall),
        "over_segmentation": over,
        "r_value": 1 - (np.abs(r1) + np.abs(r2)) / 2,
        "within_50ms": _ratio(column["near"], column["compared"]),
        "mean_signed_deviation_ms": _ratio(column["signed"], column["inside"], np.nan) / ms,
        "mean_absolute_deviation_ms": _ratio(column["absolute"], column["compared"], np.nan) / ms,
    }


def score_set(counts: np.ndarray, seed: int = 0) -> dict[str, Any]:
    """`SCORES` of a set from its utterances' counts, (utterances, len(COUNTS)), for JSON.

    ``interval`` holds the central 95% of each score over bootstrap samples of utterances. What is
    undefined is None.
    """
    values = scores(counts.sum(axis=0))
    resampled = scores(resampled_sums(counts, seed))
    intervals = {name: _interval(resampled[name], values[name]) for name in SCORES}
    return {name: rounded(values[name]) for name in SCORES} | {"interval": intervals}


def _near(points: np.ndarray, targets: np.ndarray, tolerance: int, dither: int) -> float:
    """How many points have a target within ``tolerance``, in the mean over the dither."""
    if dither:
        return float(shares_near(points, targets, tolerance, dither).sum())
    return float(np.count_nonzero(abs(nearest_distances(points, targets)) <= tolerance))


def _ratio(part: np.ndarray, whole: np.ndarray, empty: float = 0.0) -> np.ndarray:
    """``part / whole``, and ``empty`` where the whole is 0."""
    part, whole = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    return np.divide(part, whole, out=np.full(part.shape, empty), where=whole > 0)


def _interval(values: np.ndarray, estimate: np.ndarray) -> list[float | None]:
    defined = values[np.isfinite(values)]
    if not len(defined) or not np.isfinite(estimate):
        return [None, None]
    return [rounded(bound) for bound in percentile_interval(defined, float(estimate))]
