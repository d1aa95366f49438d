"""Which boundaries agree: the largest one-to-one matching, and the distance to the nearest."""

from __future__ import annotations

import numpy as np


def match_one_to_one(reference: np.ndarray, hypothesis: np.ndarray, tolerance: int) -> int:
    """Size of the largest matching of boundaries that lie within ``tolerance`` of each other.

    Both sorted, in ticks. Pairing the two earliest that fit never costs a pair: whatever either
    could be paired with instead, the later boundaries of the other side can have as well.
    """
    references, hypotheses = reference.tolist(), hypothesis.tolist()
    matched = i = j = 0
    while i < len(references) and j < len(hypotheses):
        distance = hypotheses[j] - references[i]
        if distance > tolerance:
            i += 1
        elif distance < -tolerance:
            j += 1
        else:
            matched, i, j = matched + 1, i + 1, j + 1
    return matched


def nearest_distances(points: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Signed distance of each point to the nearest of the sorted ``targets``, point minus target.

    Halfway between two targets, the earlier one counts. ``targets`` must not be empty.
    """
    right = np.searchsorted(targets, points)
    before = points - targets[np.maximum(right - 1, 0)]
    after = points - targets[np.minimum(right, len(targets) - 1)]
    return np.where(np.abs(before) <= np.abs(after), before, after)
