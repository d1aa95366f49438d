"""Groups in their three forms: lengths, first positions, and a boundary mask.

``lengths`` (groups,) count frames, each at least 1; ``starts`` (groups,) are positions of first
frames; ``mask`` (frames,) is True where a group starts, which position 0 always does.
"""

from __future__ import annotations

import numpy as np


def starts_of(lengths: np.ndarray) -> np.ndarray:
    """First positions, int64 (groups,), from lengths (groups,)."""
    return np.cumsum(lengths, dtype=np.int64) - lengths


def mask_of(lengths: np.ndarray) -> np.ndarray:
    """The boundary mask (frames,) from lengths (groups,), whose sum was checked before."""
    mask = np.zeros(int(lengths.sum()), bool)
    mask[starts_of(lengths)] = True
    return mask


def lengths_of(mask: np.ndarray) -> np.ndarray:
    """Lengths, int32 (groups,), from a boundary mask (frames,)."""
    return np.diff(np.flatnonzero(mask), append=len(mask)).astype(np.int32)


def run_mask(units: np.ndarray) -> np.ndarray:
    """The boundary mask (frames,) of runs of equal units (frames,)."""
    mask = np.ones(len(units), bool)
    mask[1:] = units[1:] != units[:-1]
    return mask


def run_starts(units: np.ndarray) -> np.ndarray:
    """First positions, int64 (runs,), of runs of equal units (frames,)."""
    return np.flatnonzero(run_mask(units))


def run_lengths(units: np.ndarray) -> np.ndarray:
    """Lengths, int32 (runs,), of runs of equal units (frames,)."""
    return lengths_of(run_mask(units))
