"""Unit groups on the mel time axis, exactly and in integers.

The vectors of an utterance's groups stand in a table whose row 0 is zero; a *layout* of shape
(frames,) says which row each mel frame takes. So both ways of filling the axis are one gather.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from entcomp.artifacts.experiment import UnitsInfo
from entcomp.artifacts.runs import starts_of
from entcomp.audio.mel import MelConfig
from entcomp.errors import EntcompError

Layout = Literal["zero_insert", "repeat"]


@dataclass(frozen=True)
class FrameMap:
    """Mel frame ``j`` and unit ``i`` begin at ``j * mel_step`` and ``offset + i * unit_step``.

    All three count the same tick, 1 / (sample rate of the units * sample rate of the mel) seconds.
    """

    unit_step: int
    unit_offset: int
    mel_step: int

    @classmethod
    def between(cls, units: UnitsInfo, mel: MelConfig) -> FrameMap:
        """The map of an experiment's units and a model's mel."""
        return cls(
            unit_step=units.frame_shift_samples * mel.sample_rate,
            unit_offset=units.receptive_offset_samples * mel.sample_rate,
            mel_step=mel.hop_length * units.sample_rate,
        )

    def num_samples(self, num_units: int, hop_length: int) -> int:
        """What ``num_units`` from the first on last, in samples at the mel's rate."""
        ticks = self.unit_offset + num_units * self.unit_step
        return ticks * hop_length // self.mel_step

    def mel_frames(self, unit_indices: np.ndarray) -> np.ndarray:
        """The mel frame in which each unit begins (the first, for one that begins before it)."""
        ticks = self.unit_offset + unit_indices.astype(np.int64) * self.unit_step
        return np.maximum(ticks // self.mel_step, 0)


def regulate_lengths(
    groups: np.ndarray, num_frames: int, frame_map: FrameMap, layout: Layout
) -> np.ndarray:
    """The length regulator: row of the table for each mel frame, int64 (num_frames,); 0 is zero.

    ``groups`` are lengths in units. ``zero_insert`` puts group ``g`` (row ``g + 1``) on the mel
    frame in which it begins, as in the paper's appendix B; ``repeat`` on all frames until the next
    group begins. Raises EntcompError if a group begins after the last frame, or two in the same.
    """
    starts = frame_map.mel_frames(starts_of(groups))
    if starts[-1] >= num_frames:
        raise EntcompError(
            f"{int(groups.sum())} units are longer than the audio ({num_frames} mel frames); "
            f"dump the units again from this audio"
        )
    if (np.diff(starts) == 0).any():
        raise EntcompError(
            "two groups begin in one mel frame; take longer groups, or a shorter mel.hop_length"
        )
    if layout == "repeat":
        later = np.searchsorted(starts, np.arange(num_frames), side="right")
        return np.maximum(later, 1)
    rows = np.zeros(num_frames, np.int64)
    rows[starts] = np.arange(1, len(groups) + 1)
    return rows
