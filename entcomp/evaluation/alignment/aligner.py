"""What every aligner takes and gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from entcomp.formats.textgrid import TextGrid

SAMPLE_RATE = 16_000


@dataclass(frozen=True)
class Transcript:
    """An utterance to align: ``read`` gives its samples, float32, at `SAMPLE_RATE`.

    Of a bad recording that may be left out, ``read`` gives the reason instead.
    """

    utt_id: str
    speaker: str
    text: str
    read: Callable[[], np.ndarray | Unaligned]


@dataclass(frozen=True)
class Unaligned:
    """Why an utterance has no alignment."""

    reason: str


Outcomes = Iterator[tuple[str, "TextGrid | Unaligned"]]
