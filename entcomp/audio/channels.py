"""Channels to one: their mean, or a chosen one."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator

import numpy as np

from entcomp.errors import EntcompError

NAMES = {"left": 1, "right": 2}
CANCELLED = 1e-4  # of the channels' power, that is 40 dB: less is left of opposite channels only

log = logging.getLogger(__name__)


def parse_channel(text: str) -> int:
    """``left``, ``right`` or a number, counted from 1. Raises EntcompError for another text."""
    number = NAMES.get(text) or (int(text) if text.isascii() and text.isdigit() else 0)
    if not 0 < number < 10_000:
        raise EntcompError(f"--channel {text}: give left, right or a number, 1 for the first")
    return number


def to_mono(
    blocks: Iterable[np.ndarray], channels: int, channel: int | None, name: str
) -> Iterator[np.ndarray]:
    """(samples,) of blocks of (samples, channels): their mean, or one ``channel``, 1 for the first.

    At the end, a warning names a recording that is silent after the mix though not before: it is
    no error, as a batch may hold few such files and the units of silence are still its units.
    Raises EntcompError for a channel that the recording has not.
    """
    if channel is not None:
        if channel > channels:
            raise EntcompError(f"{name}: has no channel {channel}, only {channels}; see --channel")
        yield from (block[:, channel - 1] for block in blocks)
        return
    before = after = 0.0
    for block in blocks:
        mixed = block.mean(axis=1)
        if block.shape[1] > 1:
            before += float(np.square(block, dtype=np.float64).mean(axis=1).sum())
            after += float(np.square(mixed, dtype=np.float64).sum())
        yield mixed
    if before > 0 and after < CANCELLED * before:
        log.warning("%s: its channels cancel each other: silent when mixed; pass --channel", name)
