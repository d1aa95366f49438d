"""Boundaries as integer ticks, so that "within 20 ms" has no rounding in it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from entcomp.artifacts.experiment import UnitsInfo
from entcomp.artifacts.runs import starts_of
from entcomp.formats.textgrid import Interval

TICKS_PER_SECOND = 1_000_000_000


def to_ticks(seconds: float) -> int:
    """Seconds to the nearest tick (a nanosecond)."""
    return round(seconds * TICKS_PER_SECOND)


def reference_boundaries(intervals: Iterable[Interval], duration: float) -> np.ndarray:
    """Starts and ends of intervals, in ticks, int64, sorted; an end that is a start counts once.

    ``intervals`` are those of a tier without its silences, so that a silence is framed by the
    end of one interval and the start of the next. The utterance's own edges do not count.
    """
    times = [time for one in intervals for time in (one.start, one.end)]
    ticks = np.unique(np.array([to_ticks(time) for time in times], np.int64))
    return inside(ticks, duration)


def group_boundaries(group_lengths: np.ndarray, info: UnitsInfo) -> np.ndarray:
    """Times, in ticks, int64, at which groups after the first start.

    ``group_lengths``: (groups,) in frames. Frame ``i`` starts at ``receptive_offset + i *
    frame_shift``, computed in samples.
    """
    frames = starts_of(group_lengths)[1:]
    samples = info.receptive_offset_samples + frames * info.frame_shift_samples
    return (samples * TICKS_PER_SECOND + info.sample_rate // 2) // info.sample_rate


def nearest_frames(ticks: Iterable[int], info: UnitsInfo) -> np.ndarray:
    """The frames, int64, that start nearest to times in ticks: `group_boundaries` the other way.

    Of two that are equally near it is the later one. Times before or after the units give frames
    below 0 or beyond the last. Exact: Python's integers, as ticks times samples outgrow 64 bits.
    """
    offset = info.receptive_offset_samples * TICKS_PER_SECOND
    shift = info.frame_shift_samples * TICKS_PER_SECOND
    found = [(2 * (int(one) * info.sample_rate - offset) + shift) // (2 * shift) for one in ticks]
    return np.array(found, np.int64)


def inside(boundaries: np.ndarray, duration: float) -> np.ndarray:
    """Those strictly between the utterance's start and its end (``duration``, seconds)."""
    return boundaries[(boundaries > 0) & (boundaries < to_ticks(duration))]
