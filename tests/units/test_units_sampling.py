from __future__ import annotations

import random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from entcomp.units.sampling import FrameSample


def utterances(lengths: list[int]) -> list[tuple[str, np.ndarray]]:
    """Frames of one value each, which tells where they come from."""
    ends = np.cumsum(lengths)
    return [
        (f"utt{number}", np.arange(end - length, end, dtype=np.float32)[:, None])
        for number, (end, length) in enumerate(zip(ends, lengths, strict=True))
    ]


def draw(pairs: list[tuple[str, np.ndarray]], max_frames: int, seed: int = 0) -> list[float]:
    sample = FrameSample(max_frames, seed)
    for key, frames in pairs:
        sample.add(key, frames)
    assert sample.seen == sum(len(frames) for _, frames in pairs)
    return sample.frames()[:, 0].tolist()


@given(st.lists(st.integers(1, 30), min_size=1, max_size=20), st.integers(1, 100), st.randoms())
def test_without_regard_to_order(lengths, max_frames, shuffler: random.Random):
    pairs = utterances(lengths)
    drawn = draw(pairs, max_frames)
    assert len(set(drawn)) == len(drawn) == min(max_frames, sum(lengths))
    shuffler.shuffle(pairs)
    assert draw(pairs, max_frames) == drawn


def test_every_frame_is_as_likely():
    pairs = utterances([10, 200, 40])
    times = np.zeros(250)
    for seed in range(400):
        times[np.array(draw(pairs, 50, seed), int)] += 1
    assert times.mean() == 80
    # 400 draws of probability 0.2 have a standard deviation of 8.
    assert abs(times - 80).max() < 5 * 8
    assert abs(times[:10].mean() - 80) < 5 * 8 / np.sqrt(10)


def test_the_seed_matters():
    pairs = utterances([100])
    assert draw(pairs, 50, seed=1) != draw(pairs, 50, seed=2)
