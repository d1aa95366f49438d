"""Confidence intervals of what is computed from sums over utterances, by resampling these."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

RESAMPLES = 1000


def resampled_weights(utterances: int, seed: int = 0) -> Iterator[np.ndarray]:
    """Yield RESAMPLES times how often each utterance is drawn, (utterances,)."""
    generator = np.random.default_rng(seed)
    for _ in range(RESAMPLES):
        drawn = generator.integers(0, utterances, utterances)
        yield np.bincount(drawn, minlength=utterances)


def resampled_sums(counts: np.ndarray, seed: int = 0) -> np.ndarray:
    """Sums over utterances drawn with replacement: (utterances, C) -> (RESAMPLES, C)."""
    return np.stack([weights @ counts for weights in resampled_weights(len(counts), seed)])


@dataclass(frozen=True)
class SeedSpread:
    """How much a score differs between trainings that differ in their seed alone.

    ``deviation`` is pooled over streams, ``freedom`` its degrees of freedom: of streams of S
    trainings S - 1 each. Without any there is nothing to tell it from, and it is 0.
    """

    deviation: float
    freedom: int

    @classmethod
    def of(cls, streams: Iterable[np.ndarray]) -> SeedSpread:
        """From the scores of each stream's trainings, (S,)."""
        streams = list(streams)
        freedom = sum(len(scores) - 1 for scores in streams)
        squares = sum(float(np.square(scores - scores.mean()).sum()) for scores in streams)
        return cls(float(np.sqrt(squares / max(freedom, 1))), freedom)

    def of_mean(self, trainings: int, seed: int) -> np.ndarray:
        """How far a mean of trainings may be from that of all: (RESAMPLES,), by Student's t.

        ``seed`` is the stream's; the deviation, not known for sure, is drawn alike for all of them,
        so that differences of two streams follow Student's t, too.
        """
        if not self.freedom:
            return np.zeros(RESAMPLES)
        chi2 = np.random.default_rng(0).chisquare(self.freedom, RESAMPLES)
        drawn = np.random.default_rng(seed).normal(size=RESAMPLES)
        return self.deviation * np.sqrt(self.freedom / chi2 / trainings) * drawn


def with_intervals(
    measure: Callable[[np.ndarray], Mapping[str, float]],
    utterances: int,
    seed: int = 0,
    shares: Collection[str] = (),
) -> dict[str, Any]:
    """Scores of utterances counted once, and under ``interval`` the central 95% of each; for JSON.

    ``measure`` gives scores by name for how often each utterance counts, (utterances,). Entropies
    of resamples are too low, so intervals are moved to have their mean at the score; those of
    ``shares`` stay within 0 and 1. What is undefined (NaN) is None.
    """
    scores = measure(np.ones(utterances, np.int64))
    drawn = [measure(weights) for weights in resampled_weights(utterances, seed)]
    found: dict[str, Any] = {name: rounded(value) for name, value in scores.items()}
    found["interval"] = {}
    for name, value in scores.items():
        values = np.array([one[name] for one in drawn])
        values = values[np.isfinite(values)]
        defined = len(values) > 0 and np.isfinite(value)
        bounds: tuple[float, float] = (np.nan, np.nan)
        if defined:
            moved = values - values.mean() + value
            bounds = percentile_interval(moved.clip(0, 1) if name in shares else moved, value)
        found["interval"][name] = [rounded(bound) for bound in bounds]
    return found


def rounded(value: np.ndarray | float) -> float | None:
    """For JSON: six decimals, None for what is undefined (NaN)."""
    return round(float(value), 6) if np.isfinite(value) else None


def percentile_interval(values: np.ndarray, estimate: float) -> tuple[float, float]:
    """The values between which the central 95% of ``values`` (RESAMPLES,) lie.

    It always holds ``estimate``, the value of the utterances themselves: percentiles of a skewed
    score of few utterances may pass it by.
    """
    low, high = np.percentile(values, (2.5, 97.5))
    return min(float(low), float(estimate)), max(float(high), float(estimate))


def share_interval(hits: int, count: int) -> tuple[float, float]:
    """95% interval of a share: Wilson's, as resamples of no hits at all have none either."""
    z = NormalDist().inv_cdf(0.975)
    middle, half = hits + z**2 / 2, z * np.sqrt(hits * (count - hits) / count + z**2 / 4)
    low, high = (middle - half) / (count + z**2), (middle + half) / (count + z**2)
    return max(float(low), 0.0), min(float(high), 1.0)


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
