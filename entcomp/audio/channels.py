"""Channels to one: their mean, or a chosen one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from entcomp.errors import EntcompError

CANCELLED = 1e-3  # amplitude of the mean of channels, to that of the channels


def to_mono(blocks: Iterable[np.ndarray], channel: int | None, name: str) -> Iterator[np.ndarray]:
    """(samples,) of blocks of (samples, channels): their mean, or one ``channel``, from 0.

    Raises EntcompError for a channel that the recording has not and, at the end, for channels whose
    mean is silent though they are not: its units would be one unit repeated, which is no result.
    """
    before = after = 0.0
    for block in blocks:
        channels = block.shape[1]
        check_channel(channel, channels, name)
        if channel is not None or channels == 1:
            yield np.ascontiguousarray(block[:, channel or 0])
            continue
        mixed = block.mean(axis=1)
        before = max(before, float(np.abs(block).max(initial=0)))
        after = max(after, float(np.abs(mixed).max(initial=0)))
        yield mixed
    if after < CANCELLED * before:
        raise EntcompError(
            f"{name}: silent as a mix: its channels cancel each other; "
            "choose one with --channel left or --channel right"
        )


def check_channel(channel: int | None, channels: int, name: str) -> None:
    """Raises EntcompError if ``channel``, counted from 0, is not below ``channels``."""
    if (channel or 0) >= channels:
        raise EntcompError(
            f"{name}: no channel {(channel or 0) + 1}, it has {channels}; "
            "choose another with --channel"
        )
