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


def inside(boundaries: np.ndarray, duration: float) -> np.ndarray:
    """Those strictly between the utterance's start and its end (``duration``, seconds)."""
    return boundaries[(boundaries > 0) & (boundaries < to_ticks(duration))]
