"""Long recordings to pieces that a recogniser can take, cut where it is quiet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

HOP_SECONDS = 0.01
PAUSE_SECONDS = 0.2  # the quietest stretch of this length is cut in its middle
SHORTEST_SECONDS = 1.0


def split_at_silences(
    blocks: Iterable[np.ndarray], sample_rate: int, longest: float
) -> Iterator[tuple[int, np.ndarray]]:
    """Pieces of a waveform, that comes in blocks of float32 (samples,), end to end.

    Yields ``(first sample, piece)``. A recording of at most ``longest`` seconds stays whole; others
    are cut at the quietest places that make pieces of half of ``longest`` to ``longest`` seconds,
    the last of at least one second.
    """
    held, first = np.empty(0, np.float32), 0
    half, whole = round(longest / 2 * sample_rate), round(longest * sample_rate)
    remaining = iter(blocks)
    while (block := next(remaining, None)) is not None or len(held) > whole:
        held = held if block is None else np.concatenate([held, block])
        spare = len(held) - round(SHORTEST_SECONDS * sample_rate)
        while spare >= whole or (block is None and len(held) > whole):
            cut = half + quietest(held[half : max(half + 1, min(whole, spare))], sample_rate)
            yield first, held[:cut]
            held, first = held[cut:], first + cut
            spare -= cut
    if len(held):
        yield first, held


def quietest(waveform: np.ndarray, sample_rate: int) -> int:
    """The middle of the quietest pause, as a sample of (samples,)."""
    hop = round(HOP_SECONDS * sample_rate)
    hops = len(waveform) // hop
    power = np.square(waveform[: hops * hop], dtype=np.float64).reshape(hops, hop).sum(axis=1)
    window = min(hops, round(PAUSE_SECONDS / HOP_SECONDS))
    if window == 0:
        return len(waveform) // 2
    sums = np.convolve(power, np.ones(window), mode="valid")
    return (int(sums.argmin()) + window // 2) * hop
