"""Batches of streams and their texts, as a pure function of the step."""

from __future__ import annotations

import numpy as np
import torch

from entcomp.encoder.packed import GroupedTokens, PackedTokens, group_tokens
from entcomp.errors import EntcompError
from entcomp.tasks.text.config import TextTaskConfig
from entcomp.tasks.text.corpus import Corpus, Stream
from entcomp.tasks.text.model import IGNORED, TextBatch
from entcomp.tasks.text.vocabulary import Vocabulary


def mask_spans(
    units: np.ndarray, mask: int, fraction: float, span: int, generator: np.random.Generator
) -> np.ndarray:
    """Replace about ``fraction`` of the units by ``mask``, in spans of ``span`` frames."""
    count = generator.poisson(fraction * len(units) / span)
    masked = units.copy()
    for start in generator.integers(1 - span, len(units), count):
        masked[max(start, 0) : start + span] = mask
    return masked


class TextBatches:
    """Batches of about ``batch_frames`` units, of utterances of similar length.

    A pure function of seed and step (see `entcomp.training`): each epoch orders the utterances by
    length, with noise, cuts the order into as many batches of equal size, and shuffles those.
    """

    def __init__(
        self, corpus: Corpus, vocabulary: Vocabulary, config: TextTaskConfig, mask: int
    ) -> None:
        self.corpus, self.config, self.mask = corpus, config, mask
        self.vocabulary = vocabulary
        self.lengths = corpus.lengths
        if self.lengths.max() > config.batch_frames:
            raise EntcompError(
                f"config: batch_frames: {config.batch_frames} is less than the longest utterance "
                f"({self.lengths.max()} units); raise it or lower 'longest'"
            )
        self.batches_an_epoch = max(1, int(self.lengths.sum()) // config.batch_frames)
        self._planned = -1, np.empty(0), np.empty(0)

    def batch(self, step: int, rank: int = 0, world_size: int = 1) -> TextBatch:
        """This rank's part of batch ``step``; masks and rates do not depend on the ranks."""
        epoch, index = divmod(step, self.batches_an_epoch)
        if self._planned[0] != epoch:
            self._planned = epoch, *self._plan(epoch)
        _, order, parts = self._planned
        chosen = order[slice(*parts[index])][rank::world_size]
        if len(chosen) == 0:
            raise EntcompError("config: batch_frames: fewer utterances than devices; raise it")
        return self.collate(chosen, step)

    def in_order(self) -> list[TextBatch]:
        """All utterances once, unmasked, by length: for the dev set. Rates are fixed draws."""
        order = np.argsort(self.lengths, kind="stable")
        cuts = np.flatnonzero(np.diff(np.cumsum(self.lengths[order]) // self.config.batch_frames))
        parts = np.split(order, cuts + 1)
        unmasked = self.config.model_copy(update={"mask_fraction": 0.0})
        plain = TextBatches(self.corpus, self.vocabulary, unmasked, self.mask)
        return [plain.collate(part, step=0) for part in parts]

    def collate(self, chosen: np.ndarray, step: int) -> TextBatch:
        """Utterances by number, with the rates and masks of a step."""
        streams, texts = zip(*(self.corpus.utterances[one] for one in chosen), strict=True)
        pairs = zip(streams, chosen.tolist(), strict=True)
        source = PackedTokens.pack([self._tokens(stream, step, one) for stream, one in pairs])
        targets = [torch.tensor(self.vocabulary.encode(text), dtype=torch.int64) for text in texts]
        target_BL = torch.nn.utils.rnn.pad_sequence(targets, True, IGNORED)
        return TextBatch(source, target_BL, torch.tensor([len(one) for one in targets]))

    def _tokens(self, stream: Stream, step: int, index: int) -> GroupedTokens:
        config, draw = self.config, self.corpus.draw
        generator = np.random.default_rng([config.training.seed, step, index])
        groups = draw(stream.row, generator) if draw and stream.row else stream.groups
        units = stream.units
        if config.mask_fraction > 0:
            units = mask_spans(units, self.mask, config.mask_fraction, config.mask_span, generator)
        return group_tokens(units, groups, config.merge_runs)

    def _plan(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """An order of all utterances (utterances,), and where in it each batch lies (batches, 2).

        No batch is empty: an utterance is at most as long as a batch.
        """
        generator = np.random.default_rng([self.config.training.seed, epoch])
        order = np.argsort(self.lengths * generator.uniform(0.9, 1.1, len(self.lengths)))
        lengths = self.lengths[order]
        middles = np.cumsum(lengths) - lengths / 2
        batch = (middles * self.batches_an_epoch / lengths.sum()).astype(np.int64)
        cuts = np.flatnonzero(np.diff(batch, prepend=-1, append=self.batches_an_epoch))
        parts = np.stack([cuts[:-1], cuts[1:]], axis=1)
        return order, parts[generator.permutation(len(parts))]
