"""How often two things occur together, by utterance, and what entropies come of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class JointCounts:
    """Pairs (row, column) of a set. Each *cell* is a pair that occurs.

    ``rows``, ``columns``: (cells,). ``cells``, ``owners``, ``numbers``: an entry for each cell of
    each utterance, the index of both and how often it occurs there.
    """

    rows: np.ndarray
    columns: np.ndarray
    cells: np.ndarray
    owners: np.ndarray
    numbers: np.ndarray

    @classmethod
    def of(cls, utterances: Iterable[tuple[np.ndarray, np.ndarray]]) -> JointCounts:
        """From the rows and columns of each utterance, integers of at least 0, equally many."""
        found = [np.zeros((4, 0), np.int64)]
        for owner, pair in enumerate(utterances):
            pairs, numbers = np.unique(np.stack(pair), axis=1, return_counts=True)
            owners = np.full(len(numbers), owner)
            found.append(np.concatenate([pairs, owners[None], numbers[None]]))
        entries = np.concatenate(found, axis=1)
        pairs, cells = np.unique(entries[:2], axis=1, return_inverse=True)
        return cls(pairs[0], pairs[1], cells.ravel(), entries[2], entries[3])

    def totals(self, weights: np.ndarray) -> np.ndarray:
        """How often each cell occurs, (cells,), with each utterance counted ``weights`` times."""
        counted = self.numbers * weights[self.owners]
        return np.bincount(self.cells, counted, minlength=len(self.rows))


def entropy(counts: np.ndarray) -> float:
    """Of the distribution that counts give, in nats; of no counts NaN."""
    positive = counts[counts > 0]
    if not len(positive):
        return float("nan")
    shares = positive / positive.sum()
    return float(-(shares * np.log(shares)).sum())


def mutual_information(rows: np.ndarray, columns: np.ndarray, totals: np.ndarray) -> float:
    """``H(row) + H(column) - H(row, column)`` of cells, all (cells,), in nats."""
    marginals = entropy(np.bincount(rows, totals)) + entropy(np.bincount(columns, totals))
    return marginals - entropy(totals)
