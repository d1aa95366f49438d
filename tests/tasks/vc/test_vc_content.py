"""Groups on the mel axis: exact times, by two ways of counting."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entcomp.artifacts.experiment import UnitsInfo
from entcomp.audio.mel import MelConfig
from entcomp.errors import EntcompError
from entcomp.tasks.vc.content import FrameMap, regulate_lengths

MEL = MelConfig()


def info(shift: int = 384, offset: int = 255, rate: int = 16000) -> UnitsInfo:
    return UnitsInfo("moonshine", 3, 500, rate, shift, offset, "")


def frame_at(seconds: Fraction) -> int:
    """The mel frame that holds a time."""
    return max(0, int(seconds * MEL.sample_rate / MEL.hop_length // 1))


@settings(deadline=None)
@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=60),
    st.sampled_from([(384, 255), (320, 40), (384, 0), (512, 9)]),
)
def test_groups_begin_in_the_mel_frame_of_their_time(
    lengths: list[int], grid: tuple[int, int]
) -> None:
    frame_map = FrameMap.between(info(*grid), MEL)
    groups = np.array(lengths, np.int32)
    starts = np.cumsum(groups) - groups
    expected = [frame_at(Fraction(grid[1] + int(unit) * grid[0], 16000)) for unit in starts]
    num_frames = frame_at(Fraction(grid[1] + sum(lengths) * grid[0], 16000)) + 1
    rows = regulate_lengths(groups, num_frames, frame_map, "zero_insert")
    assert np.flatnonzero(rows).tolist() == expected
    assert rows[expected].tolist() == list(range(1, len(groups) + 1))


@settings(deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=60))
def test_repeat_fills_zero_insert_forward(lengths: list[int]) -> None:
    frame_map = FrameMap.between(info(), MEL)
    groups = np.array(lengths, np.int32)
    num_frames = sum(lengths) * 384 * 22050 // (256 * 16000) + 3
    sparse = regulate_lengths(groups, num_frames, frame_map, "zero_insert")
    dense = regulate_lengths(groups, num_frames, frame_map, "repeat")
    np.testing.assert_array_equal(dense, np.maximum(np.maximum.accumulate(sparse), 1))


def test_times_are_exact_after_an_hour() -> None:
    units = 3600 * 16000 // 384
    frame_map = FrameMap.between(info(offset=0), MEL)
    assert frame_map.mel_frames(np.array([units]))[0] == units * 384 * 22050 // (16000 * 256)


def test_units_longer_than_the_audio_are_an_error() -> None:
    with pytest.raises(EntcompError, match="100 units are longer than the audio"):
        regulate_lengths(np.full(100, 1, np.int32), 50, FrameMap.between(info(), MEL), "repeat")


def test_groups_denser_than_mel_frames_are_an_error() -> None:
    frame_map = FrameMap.between(info(shift=160), MEL)
    with pytest.raises(EntcompError, match="two groups begin in one mel frame"):
        regulate_lengths(np.full(100, 1, np.int32), 200, frame_map, "zero_insert")
    assert regulate_lengths(np.full(100, 2, np.int32), 200, frame_map, "zero_insert").max() == 100
