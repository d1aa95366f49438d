"""score-entropy: eq. 1 for every unit of a set, in packed batches.

An utterance's entropies depend on the utterance alone, whatever it is batched with.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from torch import Tensor

from entcomp.artifacts.experiment import Experiment, entropy_name
from entcomp.artifacts.models import LMInfo
from entcomp.artifacts.runs import run_starts
from entcomp.artifacts.shard import Shard
from entcomp.artifacts.stage import Stage
from entcomp.artifacts.units import Units
from entcomp.errors import EntcompError
from entcomp.kaldi.ark import ArkWriter
from entcomp.lm.batches import read_and_predict
from entcomp.lm.config import LMConfig
from entcomp.lm.model import UnitLM, entropies
from entcomp.lm.packed import Packed
from entcomp.lm.streaming import MARGIN, one_by_one
from entcomp.progress import track
from entcomp.skipped import SkippedUtterances

Precision = Literal["float32", "bfloat16", "float64"]
Item = TypeVar("Item")

# Units that a device reads at once, unless told otherwise.
BATCH_TOKENS = {"cpu": 2048, "cuda": 131_072}
# Batches whose utterances are sorted by length together.
POOL_BATCHES = 32


@dataclass(frozen=True)
class Span:
    """Part of an utterance that the LM reads at once, in LM units and in the order of reading.

    The entropies of ``start .. keep_from-1`` are taken from the span before, which saw more.
    """

    utterance: int
    start: int
    stop: int
    keep_from: int


def spans_of(utterance: int, length: int, context: int, overlap: int) -> list[Span]:
    """The whole utterance or, beyond the context, spans that share ``overlap`` units."""
    spans = [Span(utterance, 0, min(length, context), 0)]
    while spans[-1].stop < length:
        keep_from = spans[-1].stop
        start = keep_from - overlap
        spans.append(Span(utterance, start, min(length, start + context), keep_from))
    return spans


class Scorer:
    """A trained LM, ready to score; it reads at most ``batch_tokens`` units at once.

    ``bfloat16`` is for GPUs: attention without padding, compiled. Raises EntcompError for it on a
    CPU. ``float64`` is computed twice as precisely as it is kept, so that the order of summation
    does not show, and streaming has the same bits (see `entcomp.lm.streaming`).
    """

    def __init__(
        self,
        model: UnitLM,
        config: LMConfig,
        lm: LMInfo,
        device: torch.device,
        batch_tokens: int,
        precision: Precision = "float32",
    ) -> None:
        if precision == "bfloat16" and device.type != "cuda":
            raise EntcompError("--precision bfloat16: needs a GPU; leave it out")
        self.model = model.to(device).eval()
        if precision == "bfloat16":
            self.model.to(torch.bfloat16).compile()
        if precision == "float64":
            self.model.double()
        self.config = config
        self.lm = lm
        self.precision = precision
        self.device = device
        self.batch_tokens = batch_tokens

    def score(
        self, utterances: Iterable[tuple[str, np.ndarray]]
    ) -> Iterator[tuple[str, np.ndarray]]:
        """Yield ``(utt_id, entropy)`` in order: (frames,) units to (frames,) float32 nats.

        With ``lm_units: dedup``, a frame that repeats the unit before it has NaN, and the first
        frame of a run its entropy, in both directions.
        """
        stream = iter(utterances)
        while pool := self._take_pool(stream):
            found = self._score_pool([units for _, units in pool])
            yield from zip((utt_id for utt_id, _ in pool), found, strict=True)

    def _take_pool(self, stream: Iterator[tuple[str, np.ndarray]]) -> list[tuple[str, np.ndarray]]:
        pool: list[tuple[str, np.ndarray]] = []
        left = POOL_BATCHES * self.batch_tokens
        while left > 0 and (one := next(stream, None)) is not None:
            pool.append(one)
            left -= len(one[1])
        return pool

    def _score_pool(self, vectors: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Entropies of each utterance, in batches of like lengths."""
        positions = [self._positions(units) for units in vectors]
        results = [np.full(len(units), np.nan, np.float32) for units in vectors]
        context, overlap = self.config.context, self.config.score_overlap
        spans = [
            span
            for utterance, where in enumerate(positions)
            for span in spans_of(utterance, len(where), context, overlap)
        ]
        spans.sort(key=lambda span: span.stop - span.start)
        launched = (
            (batch, self._launch(batch, vectors, positions)) for batch in self._batches(spans)
        )
        for batch, entropy_T in _one_behind(launched):
            lengths = [span.stop - span.start for span in batch]
            for span, entropy in zip(batch, entropy_T.cpu().split(lengths), strict=True):
                where = positions[span.utterance]
                if self.precision == "float64":
                    entropy = self._settled(entropy, span, vectors[span.utterance][where])
                kept = where[span.keep_from : span.stop]
                results[span.utterance][kept] = entropy[span.keep_from - span.start :].numpy()
        return results

    def _settled(self, entropy_T: Tensor, span: Span, ordered: np.ndarray) -> Tensor:
        """Entropies of a span, streamed where their float32 hangs on the order of summation."""
        doubtful = (entropy_T - MARGIN).float() != (entropy_T + MARGIN).float()
        repeated = span.keep_from - span.start
        doubtful[:repeated] = False
        if not doubtful.any():
            return entropy_T
        last = int(doubtful.nonzero()[-1]) + 1
        bos, context = self.model.num_clusters, self.config.context
        tokens, _ = read_and_predict(ordered, bos, span.start, span.start + last)
        streamed = one_by_one(self.model, context, tokens, repeated + 1)
        settled = entropy_T.clone()
        settled[:last] = torch.where(doubtful[:last], streamed, entropy_T[:last])
        return settled

    def _positions(self, units: np.ndarray) -> np.ndarray:
        """The frames that the LM predicts, in the order of reading."""
        raw = self.config.lm_units == "raw"
        frames = np.arange(len(units)) if raw else run_starts(units)
        return frames if self.config.direction == "forward" else frames[::-1]

    def _batches(self, spans: Sequence[Span]) -> Iterator[list[Span]]:
        batch: list[Span] = []
        tokens = 0
        for span in spans:
            length = span.stop - span.start
            if batch and tokens + length > self.batch_tokens:
                yield batch
                batch, tokens = [], 0
            batch.append(span)
            tokens += length
        if batch:
            yield batch

    @torch.inference_mode()
    def _launch(
        self, batch: Sequence[Span], vectors: Sequence[np.ndarray], positions: Sequence[np.ndarray]
    ) -> Tensor:
        """Entropies (T,) of a batch; on a GPU, still being computed."""
        bos = self.model.num_clusters
        pieces = [
            read_and_predict(
                vectors[span.utterance][positions[span.utterance]], bos, span.start, span.stop
            )
            for span in batch
        ]
        packed = Packed.pack(*zip(*pieces, strict=True))
        return entropies(self.model(packed.to(self.device, non_blocking=True)))


def score_set(
    experiment: Experiment, units: Units, scorer: Scorer, shard: Shard, skip_bad: bool
) -> dict[str, Any] | None:
    """Write ``EXP/entropy/<set>/entropy.{ark,scp}``; returns counts, or None if it was complete."""
    set_name = units.folder.name
    folder = experiment.entropy(set_name)
    direction = scorer.lm.direction
    inputs = {
        "lm_sha256": scorer.lm.lm_sha256,
        "codebook_sha256": scorer.lm.codebook_sha256,
        "units_sha256": units.sha256,
        "score_overlap": scorer.config.score_overlap,
        "precision": scorer.precision,  # batches and devices change no more than rounding
        "skip_bad": skip_bad,
    }
    stage = Stage(folder, inputs, f"{entropy_name(direction, 'stage')}{shard.suffix}")
    if stage.is_complete():
        return None
    stage.start()
    skipped = SkippedUtterances(skip_bad)
    first, last = shard.bounds(units.count())
    predictions = 0
    with ArkWriter(folder, f"{entropy_name(direction)}{shard.suffix}") as ark:
        found = scorer.score(units.rows(skipped, shard))
        for utt_id, entropy in track(found, f"{set_name}: entropy", last - first):
            ark.write(utt_id, entropy)
            predictions += int(np.count_nonzero(~np.isnan(entropy)))
    skipped.write(folder / f"{entropy_name(direction, 'skipped')}{shard.suffix}.txt")
    counts = ark.summary | {"predictions": predictions, "skipped": len(skipped)}
    stage.finish(counts)
    return counts


def _one_behind(items: Iterator[Item]) -> Iterator[Item]:
    """Yield each item only when the next has been asked for: a GPU is never left waiting."""
    previous = next(items)
    for item in items:
        yield previous
        previous = item
    yield previous
