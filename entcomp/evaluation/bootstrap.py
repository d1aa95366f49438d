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


def percentile_interval(values: np.ndarray) -> tuple[float, float]:
    """The values between which the central 95% of ``values`` (RESAMPLES,) lie."""
    low, high = np.percentile(values, (2.5, 97.5))
    return float(low), float(high)


def ratio_interval(numerators: np.ndarray, denominators: np.ndarray) -> tuple[float, float]:
    """95% interval of ``sum(numerators) / sum(denominators)`` over utterances.

    Resamples whose denominator vanishes do not count; without others, the interval is (0, 0).
    """
    sums = resampled_sums(np.stack([numerators, denominators], axis=1))
    sums = sums[sums[:, 1] > 0]
    return percentile_interval(sums[:, 0] / sums[:, 1]) if len(sums) else (0.0, 0.0)
