"""Groups that no LM has a part in. Results are bool (N,), True where a group starts."""

from __future__ import annotations

import numpy as np


def dedup(units: np.ndarray) -> np.ndarray:
    """A new group wherever the unit (N,) changes."""
    return np.append(True, units[1:] != units[:-1])


def fixed(lengths: np.ndarray, window: int) -> np.ndarray:
    """Groups of ``window`` frames; an utterance's last group is what remains."""
    return _positions(lengths) % window == 0


def uniform(lengths: np.ndarray, groups_per_unit: float) -> np.ndarray:
    """Equal groups, up to rounding to frames: Bresenham's line of M groups over n units."""
    wanted = np.repeat(group_counts(lengths, groups_per_unit), lengths)
    return _positions(lengths) * wanted % np.repeat(lengths, lengths) < wanted


def random(
    utt_ids: list[str], lengths: np.ndarray, groups_per_unit: float, seed: int
) -> np.ndarray:
    """As many groups as `uniform`, their edges drawn without replacement.

    The draw depends on ``seed`` and the utterance's id only, not on order or sharding.
    """
    starts = np.zeros(int(lengths.sum()), bool)
    first = 0
    counts = group_counts(lengths, groups_per_unit)
    for utt_id, length, count in zip(utt_ids, lengths.tolist(), counts.tolist(), strict=True):
        generator = np.random.default_rng([seed, *utt_id.encode()])
        starts[first + 1 + generator.choice(length - 1, count - 1, replace=False)] = True
        starts[first] = True
        first += length
    return starts


def group_counts(lengths: np.ndarray, groups_per_unit: float) -> np.ndarray:
    """How many groups come nearest to the rate in each utterance (U,): 1 to its length."""
    return np.clip(np.rint(lengths * groups_per_unit), 1, lengths).astype(np.int64)


def _positions(lengths: np.ndarray) -> np.ndarray:
    """Position of each unit in its utterance (N,)."""
    return np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
