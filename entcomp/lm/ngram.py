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
    counts = _pair_counts(train, num_clusters, direction)
    unigram = (counts.sum(axis=0) + 1) / (counts.sum() + num_clusters)
    kinds = np.count_nonzero(counts, axis=1)[:, None]
    weights = counts.sum(axis=1, keepdims=True) + kinds
    bigram = np.where(weights > 0, (counts + kinds * unigram) / np.maximum(weights, 1), unigram)
    seen = _pair_counts(dev, num_clusters, direction)
    return {
        "unigram": float(-(seen.sum(axis=0) * np.log(unigram)).sum() / seen.sum()),
        "bigram": float(-(seen * np.log(bigram)).sum() / seen.sum()),
    }


def _pair_counts(corpus: Corpus, num_clusters: int, direction: Direction) -> np.ndarray:
    """How often unit b follows a, (K + 1, K) int64; row K is BOS."""
    size = num_clusters + 1
    counts = np.zeros(size * size, np.int64)
    total = int(corpus.offsets[-1])
    starts = range(0, total, CHUNK)
    for first in track(starts, "count bigrams") if len(starts) > 1 else starts:
        # One unit more on the left: the predecessor of the chunk's first.
        left = max(0, first - 1)
        units = corpus.units[left : first + CHUNK].astype(np.int64)
        before, after = units[:-1], units[1:]
        if direction == "backward":
            before, after = after, before
        inside = np.ones(len(before), bool)
        begins = corpus.offsets[1:-1]
        begins = begins[(begins > left) & (begins < left + len(units))]
        inside[begins - left - 1] = False
        counts += np.bincount(before[inside] * size + after[inside], minlength=size * size)
    edges = corpus.offsets[:-1] if direction == "forward" else corpus.offsets[1:] - 1
    counts += np.bincount(
        num_clusters * size + corpus.units[edges].astype(np.int64), minlength=size * size
    )
    return counts.reshape(size, size)[:, :num_clusters]
