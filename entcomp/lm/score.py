"""score-entropy: eq. 1 for every unit of a set, by torch, in packed batches.

An utterance's entropies depend on the utterance alone, whatever it is batched with.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from torch import Tensor

from entcomp.artifacts.experiment import Direction, Experiment, entropy_name
from entcomp.artifacts.models import LMInfo
from entcomp.artifacts.shard import Shard
from entcomp.artifacts.units import Units
from entcomp.errors import EntcompError
from entcomp.kaldi.ark import ArkWriter
from entcomp.lm.config import LMConfig
from entcomp.lm.model import UnitLM, entropies, load_lm
from entcomp.lm.packed import Packed
from entcomp.lm.spans import Reading, Span
from entcomp.progress import track
from entcomp.skipped import SkippedUtterances

Precision = Literal["float32", "bfloat16"]
Item = TypeVar("Item")
Part = tuple[Reading, Span]

# Units that a device reads at once, unless told otherwise.
BATCH_TOKENS = {"cpu": 2048, "cuda": 131_072}
# Batches whose utterances are sorted by length together.
POOL_BATCHES = 32


class Scorer:
    """A trained LM, ready to score; it reads at most ``batch_tokens`` units at once.

    ``bfloat16`` is for GPUs: attention without padding, compiled. Raises EntcompError for it on a
    CPU.
    """

    def __init__(
        self,
        model: UnitLM,
        config: LMConfig,
        lm: LMInfo,
        device: torch.device,
        batch_tokens: int | None = None,
        precision: Precision = "float32",
    ) -> None:
        if precision == "bfloat16" and device.type != "cuda":
            raise EntcompError("--precision bfloat16: needs a GPU; leave it out")
        self.model = model.to(device).eval()
        if precision == "bfloat16":
            self.model.to(torch.bfloat16).compile()
        self.config = config
        self.lm = lm
        self.precision = precision
        self.device = device
        self.batch_tokens = batch_tokens or BATCH_TOKENS[device.type]

    @classmethod
    def open(
        cls,
        experiment: Experiment,
        direction: Direction,
        device: torch.device,
        batch_tokens: int | None = None,
        precision: Precision = "float32",
    ) -> Scorer:
        """The LM of an experiment. Raises EntcompError as `read_lm` does."""
        return cls(*load_lm(experiment, direction), device, batch_tokens, precision)

    def score(
        self, utterances: Iterable[tuple[str, np.ndarray]]
    ) -> Iterator[tuple[str, np.ndarray]]:
        """Yield ``(utt_id, entropy)`` in order: (frames,) units to (frames,) float32 nats.

        Where `Reading.entropy` has NaN, so has the result.
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
        readings = [Reading(units, self.config, self.lm.num_clusters) for units in vectors]
        parts = [(reading, span) for reading in readings for span in reading.spans]
        parts.sort(key=lambda part: len(part[1]))
        launched = ((batch, self._launch(batch)) for batch in self._batches(parts))
        for batch, entropy_T in _pipelined(launched):
            lengths = [len(span) for _, span in batch]
            for (reading, span), entropy in zip(batch, entropy_T.cpu().split(lengths), strict=True):
                reading.keep(span, entropy.numpy())
        return [reading.entropy for reading in readings]

    def _batches(self, parts: Sequence[Part]) -> Iterator[list[Part]]:
        batch: list[Part] = []
        tokens = 0
        for reading, span in parts:
            if batch and tokens + len(span) > self.batch_tokens:
                yield batch
                batch, tokens = [], 0
            batch.append((reading, span))
            tokens += len(span)
        if batch:
            yield batch

    @torch.inference_mode()
    def _launch(self, batch: Sequence[Part]) -> Tensor:
        """Entropies (T,) of a batch; on a GPU, still being computed."""
        pieces = [reading.piece(span) for reading, span in batch]
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
    archive, manifest = entropy_name(direction), entropy_name(direction, "stage")
    stage = shard.stage(folder, inputs, archive, manifest)
    if stage.is_complete():
        return None
    stage.start()
    skipped = SkippedUtterances(skip_bad)
    first, last = shard.bounds(units.count())
    predictions = 0
    with ArkWriter(folder, f"{archive}{shard.suffix}") as ark:
        found = scorer.score(units.rows(skipped, shard))
        for utt_id, entropy in track(found, f"{set_name}: entropy", last - first):
            ark.write(utt_id, entropy)
            predictions += int(np.count_nonzero(~np.isnan(entropy)))
    skipped.write(folder / f"{entropy_name(direction, 'skipped')}{shard.suffix}.txt")
    counts = ark.summary | {"predictions": predictions, "skipped": len(skipped)}
    stage.finish(counts)
    return counts


def _pipelined(items: Iterator[Item]) -> Iterator[Item]:
    """Yield each item only when the next has been asked for: a GPU is never left waiting."""
    previous = next(items)
    for item in items:
        yield previous
        previous = item
    yield previous
