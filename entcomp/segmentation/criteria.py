"""Where entropy starts a new group, for many utterances laid end to end (section 3.3).

All arrays are flat: ``entropy`` (P,) float32, nats, of the positions that the LM predicted, and
``first`` (U,), where each utterance begins in them. Results are bool (P,), True where a criterion
fires. Unit 0 of an utterance starts a group anyway; what a criterion says there is ignored.
"""

from __future__ import annotations

import numpy as np


def rise(entropy: np.ndarray, first: np.ndarray) -> np.ndarray:
    """``H_i - H_{i-1}`` in float32; minus infinity at an utterance's first position."""
    rises = np.empty_like(entropy)
    np.subtract(entropy[1:], entropy[:-1], out=rises[1:])
    rises[first] = -np.inf
    return rises


def global_threshold(entropy: np.ndarray, theta_g: float) -> np.ndarray:
    """M1: ``H_i > theta_g``."""
    return entropy > theta_g


def relative(entropy: np.ndarray, first: np.ndarray, theta_r: float) -> np.ndarray:
    """M2: ``H_i - H_{i-1} > theta_r``."""
    return rise(entropy, first) > theta_r


def combined(entropy: np.ndarray, first: np.ndarray, theta_g: float, theta_r: float) -> np.ndarray:
    """M3: both. AND, as the paper's M3 thresholds are lower than M1's and M2's at equal rate."""
    return global_threshold(entropy, theta_g) & relative(entropy, first, theta_r)


def local_maxima(score: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Greater than the left neighbour and not less than the right one.

    A plateau so fires once, where it begins, and one unit of lookahead is enough. An utterance's
    last position needs no right neighbour; its first never fires.
    """
    higher = np.zeros(len(score), bool)
    np.greater(score[1:], score[:-1], out=higher[1:])
    higher[first] = False
    higher[:-1] &= ~higher[1:]
    return higher


def peak(entropy: np.ndarray, first: np.ndarray, theta_g: float) -> np.ndarray:
    """A local maximum of H above ``theta_g``."""
    return local_maxima(entropy, first) & (entropy > theta_g)


def standardise(entropy: np.ndarray, moments: tuple[float, float]) -> np.ndarray:
    """``(H - mean) / std`` in float32, with the calibration set's ``(mean, std)``."""
    mean, std = np.float32(moments[0]), np.float32(moments[1])
    return (entropy - mean) / std


def bidirectional_score(
    forward: np.ndarray,
    backward: np.ndarray,
    first: np.ndarray,
    forward_moments: tuple[float, float],
    backward_moments: tuple[float, float],
) -> np.ndarray:
    """Surprise on both sides of the edge between ``i - 1`` and ``i``, in standard deviations.

    ``z(H_i)`` given all on the left plus ``z(H'_{i-1})`` given all on the right, as in branching
    entropy; minus infinity at an utterance's first position, which has no edge inside.
    """
    score = standardise(forward, forward_moments)
    score[1:] += standardise(backward[:-1], backward_moments)
    score[first] = -np.inf
    return score


def bidirectional(
    score: np.ndarray, first: np.ndarray, theta_z: float, peaks: bool = False
) -> np.ndarray:
    """``score > theta_z``; with ``peaks`` only where the score has a local maximum."""
    above = score > theta_z
    return above & local_maxima(score, first) if peaks else above
