"""Units against the phones that are being spoken: PNMI and purities (HuBERT, arXiv 2106.07447)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from entcomp.artifacts.experiment import UnitsInfo
from entcomp.artifacts.ticks import TICKS_PER_SECOND, to_ticks
from entcomp.evaluation.bootstrap import with_intervals
from entcomp.evaluation.units.counts import JointCounts, entropy, mutual_information
from entcomp.formats.textgrid import Interval

NO_PHONE = -1


def phones_of_frames(
    frames: int, intervals: Sequence[Interval], info: UnitsInfo, numbers: dict[str, int]
) -> np.ndarray:
    """The phone at the middle of each frame, (frames,), `NO_PHONE` where there is none.

    ``intervals``: by time. ``numbers`` gives each label its number and takes new ones.
    """
    if not intervals:
        return np.full(frames, NO_PHONE)
    starts = np.array([to_ticks(one.start) for one in intervals])
    ends = np.array([to_ticks(one.end) for one in intervals])
    labels = np.array([numbers.setdefault(one.label, len(numbers)) for one in intervals])
    # Half samples, since the middle of a frame may lie between two.
    halves = (
        2 * info.receptive_offset_samples + (2 * np.arange(frames) + 1) * info.frame_shift_samples
    )
    middles = halves * TICKS_PER_SECOND // (2 * info.sample_rate)
    index = np.searchsorted(starts, middles, side="right") - 1
    return np.where((index >= 0) & (middles < ends[index]), labels[index], NO_PHONE)


def phone_scores(
    utterances: Sequence[tuple[np.ndarray, np.ndarray]], seed: int = 0
) -> dict[str, Any]:
    """Scores of ``(units, phones)``, each (frames,), with intervals; for JSON.

    Over frames in a phone, y, of unit z: ``pnmi`` is I(y; z) / H(y), ``phone_purity`` the share of
    frames whose phone is the most frequent of their unit, ``cluster_purity`` of those whose unit is
    the most frequent of their phone. ``mutual_information`` and ``phone_entropy`` are in nats.
    """
    pairs = JointCounts.of(
        (phones[phones >= 0], units[phones >= 0]) for units, phones in utterances
    )

    def measure(weights: np.ndarray) -> dict[str, float]:
        totals = pairs.totals(weights)
        information = mutual_information(pairs.rows, pairs.columns, totals)
        spoken = entropy(np.bincount(pairs.rows, totals))
        return {
            "pnmi": information / spoken if spoken > 0 else float("nan"),
            "phone_purity": _purity(pairs.columns, totals),
            "cluster_purity": _purity(pairs.rows, totals),
            "mutual_information": information,
            "phone_entropy": spoken,
        }

    shares = ("pnmi", "phone_purity", "cluster_purity")
    found = with_intervals(measure, len(utterances), seed, shares)
    return {"frames": int(pairs.numbers.sum())} | found


def _purity(groups: np.ndarray, totals: np.ndarray) -> float:
    """Sum over groups of their largest cell, as a share of all."""
    if not totals.sum():
        return float("nan")
    largest = np.zeros(groups.max() + 1)
    np.maximum.at(largest, groups, totals)
    return float(largest.sum() / totals.sum())
