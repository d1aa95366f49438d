"""What the LM reads of an utterance: which units, in which order, and how many at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from entcomp.lm.config import LMConfig
from entcomp.lm.corpus import run_starts

Piece = tuple[np.ndarray, np.ndarray]  # what the LM reads, what it is to predict


def read_and_predict(ordered: np.ndarray, bos: int, start: int, stop: int) -> Piece:
    """Tokens ``start .. stop-1`` of an utterance, whose units come in the order of reading."""
    targets = ordered[start:stop].astype(np.int64)
    before = bos if start == 0 else ordered[start - 1]
    return np.concatenate([[before], targets[:-1]]), targets


@dataclass(frozen=True)
class Span:
    """Part of an utterance that the LM reads at once, in LM units and in the order of reading.

    The entropies of ``start .. keep_from-1`` are taken from the span before, which saw more.
    """

    start: int
    stop: int
    keep_from: int

    def __len__(self) -> int:
        return self.stop - self.start


def spans_of(length: int, context: int, overlap: int) -> list[Span]:
    """The whole utterance or, beyond the context, spans that share ``overlap`` units."""
    spans = [Span(0, min(length, context), 0)]
    while spans[-1].stop < length:
        keep_from = spans[-1].stop
        start = keep_from - overlap
        spans.append(Span(start, min(length, start + context), keep_from))
    return spans


class Reading:
    """An utterance as the LM reads it, and what is known of its entropies.

    ``entropy``: float32 (frames,), nats, NaN until `keep` fills it in. With ``lm_units: dedup`` it
    stays NaN for a frame that repeats the unit before it, and the first frame of a run has the
    run's entropy, in both directions.
    """

    def __init__(self, units: np.ndarray, config: LMConfig, num_clusters: int) -> None:
        frames = np.arange(len(units)) if config.lm_units == "raw" else run_starts(units)
        self._frames = frames if config.direction == "forward" else frames[::-1]
        self._ordered = units[self._frames]
        self._bos = num_clusters
        self.entropy = np.full(len(units), np.nan, np.float32)
        self.spans = spans_of(len(frames), config.context, config.score_overlap)

    def piece(self, span: Span) -> Piece:
        """What the LM reads of a span and what it is to predict, int64 (len(span),) each."""
        return read_and_predict(self._ordered, self._bos, span.start, span.stop)

    def keep(self, span: Span, entropy: np.ndarray) -> None:
        """Fill in a span's entropies, of which only the last ones that count need be given."""
        kept = span.stop - span.keep_from
        self.entropy[self._frames[span.keep_from : span.stop]] = entropy[len(entropy) - kept :]
