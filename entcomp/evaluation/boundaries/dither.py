"""Counts of boundaries that agree when references are intervals: plain counts, averaged.

Aligners give times on a grid (MFA: 10 ms); a time t stands for all of [t - r/2, t + r/2]. Units lie
on a grid as well, and counts within a tolerance jump where grids coincide: five multiples of 10 ms
lie within 20 ms of another, four of a time between. So all references of an utterance are moved by
the same e, uniform on [-r/2, r/2], and the plain count m(e) is averaged:

    M = 1/r * integral of m(e) de over [-r/2, r/2]

m is constant between the moments at which some pair begins or ceases to agree, e = s - t +- the
tolerance (s: a boundary of the segmentation), so that M is a finite sum, and exact. A pair that
nothing else competes with adds the share of the dither in which it agrees, a trapezoid of its
distance d (tolerance >= r/2):

    w(d) = min(1, max(0, (tolerance + r/2 - |d|) / r))

One e an utterance keeps the distances between references, as plain counts do. One e a boundary has
no such sum, and differs only where boundaries compete: phone F1 of equal spacing and of
deduplicated HuBERT units on LJSpeech falls by 0.0 to 0.3 points.
All times are in ticks; ``dither`` is r/2.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from entcomp.evaluation.boundaries.matching import match_one_to_one


def mean_matches(
    reference: np.ndarray, hypothesis: np.ndarray, tolerance: int, dither: int
) -> float:
    """Mean size of the largest one-to-one matching; sorted boundaries, ``dither`` > 0.

    References that share no boundary of the segmentation with others agree or not by themselves;
    the others are matched together, for each part of the dither.
    """
    first = np.searchsorted(hypothesis, reference - (tolerance + dither))
    last = np.searchsorted(hypothesis, reference + (tolerance + dither), side="right")
    runs = np.flatnonzero(first[1:] >= last[:-1]) + 1
    edges = np.concatenate([[0], runs, [len(reference)]])
    alone = edges[:-1][np.diff(edges) == 1]
    total = float(shares_near(reference[alone], hypothesis, tolerance, dither).sum())
    for start, stop in pairwise(edges.tolist()):
        if stop - start > 1:
            rivals = hypothesis[first[start] : last[stop - 1]]
            total += _mean_of_run(reference[start:stop], rivals, tolerance, dither)
    return total


def shares_near(points: np.ndarray, targets: np.ndarray, tolerance: int, dither: int) -> np.ndarray:
    """Share of the dither in which any of ``targets`` lies within ``tolerance`` of each point.

    Both sorted; which side is moved makes no difference. ``dither`` > 0.
    """
    if not len(targets):
        return np.zeros(len(points))
    # Disjoint intervals of what is near a target, and their summed lengths.
    ends = targets + tolerance
    starts = np.maximum(targets - tolerance, np.concatenate([targets[:1] - tolerance, ends[:-1]]))
    covered = np.concatenate([[0], np.cumsum(ends - starts)])

    def covered_until(times: np.ndarray) -> np.ndarray:
        index = np.searchsorted(starts, times, side="right") - 1
        within = np.minimum(times, ends[index]) - starts[index]
        return np.where(index < 0, 0, covered[index] + within)

    near = covered_until(points + dither) - covered_until(points - dither)
    return near / (2 * dither)


def _mean_of_run(
    reference: np.ndarray, hypothesis: np.ndarray, tolerance: int, dither: int
) -> float:
    distances = np.subtract.outer(hypothesis, reference).ravel()
    moments = np.concatenate([distances - tolerance, distances + tolerance])
    inner = np.unique(moments[np.abs(moments) < dither]).tolist()
    total = 0.0
    for start, stop in pairwise([-dither, *inner, dither]):
        # Twice all times, so that the middle of a part is a whole tick.
        moved = 2 * reference + (start + stop)
        total += (stop - start) * match_one_to_one(moved, 2 * hypothesis, 2 * tolerance)
    return total / (2 * dither)
