"""Unigram and bigram models of units: the figures that the LM must beat."""

from __future__ import annotations

import numpy as np

from entcomp.artifacts.experiment import Direction
from entcomp.lm.corpus import Corpus
from entcomp.progress import track

# Units counted at a time.
CHUNK = 10_000_000


def ngram_nats(
    train: Corpus, dev: Corpus, num_clusters: int, direction: Direction
) -> dict[str, float]:
    """Nats per unit of ``dev`` under models fitted on ``train``, in the direction of reading.

    ``unigram`` adds one to each count. ``bigram`` is Witten and Bell's interpolation with it:
    ``(c(a, b) + t(a) p(b)) / (c(a) + t(a))`` with ``t(a)`` the number of units seen after ``a``.
    BOS precedes the first unit.
    """
    pairs, counts = _pair_counts(train, num_clusters, direction)
    before, after = np.divmod(pairs, num_clusters)
    occurs = np.bincount(after, counts, minlength=num_clusters) + 1
    unigram = occurs / occurs.sum()
    kinds = np.bincount(before, minlength=num_clusters + 1)  # t(a)
    weights = np.bincount(before, counts, minlength=num_clusters + 1) + kinds  # c(a) + t(a)
    dev_pairs, dev_counts = _pair_counts(dev, num_clusters, direction)
    a, b = np.divmod(dev_pairs, num_clusters)
    at = np.minimum(np.searchsorted(pairs, dev_pairs), len(pairs) - 1)
    seen = np.where(pairs[at] == dev_pairs, counts[at], 0)
    backed_off = (seen + kinds[a] * unigram[b]) / np.maximum(weights[a], 1)
    bigram = np.where(weights[a] > 0, backed_off, unigram[b])
    return {
        "unigram": float(-(dev_counts * np.log(unigram[b])).sum() / dev_counts.sum()),
        "bigram": float(-(dev_counts * np.log(bigram)).sum() / dev_counts.sum()),
    }


def _pair_counts(
    corpus: Corpus, num_clusters: int, direction: Direction
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs ``a * num_clusters + b`` that occur, int64 ascending, and how often unit b follows a.

    ``a`` is num_clusters for BOS. Of a large codebook few of all pairs occur.
    """
    total = int(corpus.offsets[-1])
    starts = range(0, total, CHUNK)
    pairs, counts = np.empty(0, np.int64), np.empty(0, np.int64)
    for first in track(starts, "count bigrams") if len(starts) > 1 else starts:
        places = np.arange(first, min(first + CHUNK, total))
        found = np.unique(_pairs(corpus, places, num_clusters, direction), return_counts=True)
        pairs, place = np.unique(np.concatenate([pairs, found[0]]), return_inverse=True)
        counts = np.bincount(place, np.concatenate([counts, found[1]])).astype(np.int64)
    return pairs, counts


def _pairs(
    corpus: Corpus, places: np.ndarray, num_clusters: int, direction: Direction
) -> np.ndarray:
    """The pair of each unit in ``places`` with the one that is read before it."""
    if direction == "forward":
        neighbours, edges = places - 1, corpus.offsets[:-1]
    else:
        neighbours, edges = places + 1, corpus.offsets[1:] - 1
    before = corpus.units[np.clip(neighbours, 0, len(corpus.units) - 1)].astype(np.int64)
    begins = edges[(edges >= places[0]) & (edges <= places[-1])]
    before[begins - places[0]] = num_clusters
    return before * num_clusters + corpus.units[places]
