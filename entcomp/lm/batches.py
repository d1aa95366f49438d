"""Rows of exactly ``context`` tokens, cut from the stream of all utterances.

For an utterance ``u_0 .. u_{N-1}`` the LM reads ``BOS u_0 .. u_{N-2}`` and is to predict
``u_0 .. u_{N-1}``. Laid end to end in a shuffled order, these pairs are the stream of an epoch, and
one epoch follows the other. Pieces of different utterances within a row never see each other.
Where a row ends inside an utterance, the next row goes on after the preceding unit, without BOS.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from entcomp.errors import EntcompError
from entcomp.lm.config import LMConfig
from entcomp.lm.corpus import Corpus
from entcomp.lm.packed import Packed
from entcomp.lm.spans import Piece, read_and_predict


class Rows:
    """The stream of a corpus, an order of utterances for each epoch."""

    def __init__(self, corpus: Corpus, config: LMConfig, num_clusters: int, shuffle: bool) -> None:
        self.corpus = corpus
        self.context = config.context
        self.direction = config.direction
        self.bos = num_clusters
        self.seed = config.training.seed if shuffle else None
        self.tokens = int(corpus.offsets[-1])
        self._epochs: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def pieces(self, first: int, count: int) -> Iterator[Piece]:
        """Tokens ``first .. first+count-1`` of the endless stream, by utterance."""
        while count > 0:
            epoch, position = divmod(first, self.tokens)
            order, ends = self._epoch(epoch)
            rank = int(np.searchsorted(ends, position, side="right"))
            units = self.corpus[order[rank]]
            start = len(units) - int(ends[rank] - position)
            stop = min(len(units), start + count)
            ordered = units if self.direction == "forward" else units[::-1]
            yield read_and_predict(ordered, self.bos, start, stop)
            first += stop - start
            count -= stop - start

    def _epoch(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """Utterances in the order of an epoch, and where each ends; only the latest is held."""
        if epoch not in self._epochs:
            order = np.arange(len(self.corpus))
            if self.seed is not None:
                order = np.random.default_rng([self.seed, epoch]).permutation(order)
            self._epochs = {epoch: (order, np.cumsum(self.corpus.lengths[order]))}
        return self._epochs[epoch]


class TrainRows(Rows):
    """`Batches` of the training loop: ``rows_per_batch`` rows, shared by the ranks."""

    def __init__(self, corpus: Corpus, config: LMConfig, num_clusters: int) -> None:
        super().__init__(corpus, config, num_clusters, shuffle=True)
        self.rows_per_batch = config.rows_per_batch
        ranks = config.training.devices * config.training.num_nodes
        if self.rows_per_batch % ranks:
            raise EntcompError(
                f"rows_per_batch: {self.rows_per_batch} rows cannot be shared evenly by {ranks} "
                f"devices; change it"
            )

    def batch(self, step: int, rank: int = 0, world_size: int = 1) -> Packed:
        pieces: list[Piece] = []
        for row in range(rank, self.rows_per_batch, world_size):
            first = (step * self.rows_per_batch + row) * self.context
            pieces.extend(self.pieces(first, self.context))
        return Packed.pack(*zip(*pieces, strict=True))


class DevRows(Rows):
    """One epoch in the order of the corpus, as a sequence of batches; the last may be smaller."""

    def __init__(self, corpus: Corpus, config: LMConfig, num_clusters: int) -> None:
        super().__init__(corpus, config, num_clusters, shuffle=False)
        self.batch_tokens = config.rows_per_batch * config.context

    def __len__(self) -> int:
        return -(-self.tokens // self.batch_tokens)

    def __getitem__(self, index: int) -> Packed:
        if not 0 <= index < len(self):
            raise IndexError(index)
        pieces: list[Piece] = []
        end = min((index + 1) * self.batch_tokens, self.tokens)
        for first in range(index * self.batch_tokens, end, self.context):
            pieces.extend(self.pieces(first, min(self.context, end - first)))
        return Packed.pack(*zip(*pieces, strict=True))
