"""Confidence intervals of what is computed from sums over utterances, by resampling these."""

from __future__ import annotations

import numpy as np

RESAMPLES = 1000


def resampled_sums(counts: np.ndarray, seed: int = 0) -> np.ndarray:
    """Sums over utterances drawn with replacement: (utterances, C) -> (RESAMPLES, C)."""
    utterances = len(counts)
    generator = np.random.default_rng(seed)
    sums = np.empty((RESAMPLES, counts.shape[1]))
    for one in range(RESAMPLES):
        drawn = generator.integers(0, utterances, utterances)
        sums[one] = np.bincount(drawn, minlength=utterances) @ counts
    return sums


def percentile_interval(values: np.ndarray, estimate: float) -> tuple[float, float]:
    """The values between which the central 95% of ``values`` (RESAMPLES,) lie.

    It always holds ``estimate``, the value of the utterances themselves: percentiles of a skewed
    score of few utterances may pass it by.
    """
    low, high = np.percentile(values, (2.5, 97.5))
    return min(float(low), float(estimate)), max(float(high), float(estimate))


def ratio(numerators: np.ndarray, denominators: np.ndarray) -> float:
    """``sum(numerators) / sum(denominators)``, of counts; a sum of no denominators is taken as 1.

    So the error rate of empty references is the number of their errors.
    """
    whole = denominators.sum()
    return float(numerators.sum() / (whole if whole > 0 else 1))


def ratio_interval(numerators: np.ndarray, denominators: np.ndarray) -> tuple[float, float]:
    """95% interval of `ratio` over utterances.

    Resamples whose denominator vanishes do not count, unless all do.
    """
    sums = resampled_sums(np.stack([numerators, denominators], axis=1))
    some = sums[:, 1] > 0
    values = sums[some, 0] / sums[some, 1] if some.any() else sums[:, 0]
    return percentile_interval(values, ratio(numerators, denominators))
