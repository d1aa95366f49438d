"""Unigram and bigram figures, by hand and against a plain count."""

from __future__ import annotations

import math

import numpy as np
import pytest

from entcomp.lm import ngram
from entcomp.lm.corpus import Corpus
from entcomp.lm.ngram import ngram_nats


def corpus_of(*vectors: list[int]) -> Corpus:
    offsets = np.cumsum([0, *(len(one) for one in vectors)])
    return Corpus(np.concatenate(vectors).astype(np.uint16), offsets, "sha")


def test_figures_by_hand() -> None:
    train = corpus_of([0, 1, 0, 1], [0])
    # Unigram of K = 2, one added: (3 + 1) / 7 and (2 + 1) / 7.
    p = np.array([4 / 7, 3 / 7])
    # After BOS: 0, 0. After 0: 1, 1. After 1: 0. One kind of successor each.
    after_bos = (np.array([2, 0]) + p) / 3
    after_0 = (np.array([0, 2]) + p) / 3
    after_1 = (np.array([1, 0]) + p) / 2
    figures = ngram_nats(train, corpus_of([1, 0, 0]), 2, "forward")
    unigram = -(2 * math.log(p[0]) + math.log(p[1])) / 3
    bigram = -(math.log(after_bos[1]) + math.log(after_1[0]) + math.log(after_0[0])) / 3
    assert figures == {"unigram": pytest.approx(unigram), "bigram": pytest.approx(bigram)}


def test_backward_is_forward_on_reversed_units() -> None:
    random = np.random.default_rng(0)
    vectors = [random.integers(0, 9, length).tolist() for length in (40, 1, 7, 90)]
    train, dev = corpus_of(*vectors), corpus_of(*vectors[:2])
    turned = [one[::-1] for one in vectors]
    assert ngram_nats(train, dev, 9, "backward") == pytest.approx(
        ngram_nats(corpus_of(*turned), corpus_of(*turned[:2]), 9, "forward")
    )


@pytest.mark.parametrize("chunk", [1, 2, 7, 50, 1000])
@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_counts_do_not_depend_on_chunks(
    chunk: int, direction: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(1)
    vectors = [random.integers(0, 5, length).tolist() for length in (30, 1, 1, 12, 60)]
    monkeypatch.setattr(ngram, "CHUNK", chunk)
    counts = np.zeros((6, 5), np.int64)
    pairs, found = ngram._pair_counts(corpus_of(*vectors), 5, direction)
    counts.flat[pairs] = found
    plain = np.zeros((6, 5), np.int64)
    for units in vectors:
        ordered = units if direction == "forward" else units[::-1]
        for before, after in zip([5, *ordered[:-1]], ordered, strict=True):
            plain[before, after] += 1
    assert (counts == plain).all()


def test_a_large_codebook_needed_a_table_of_all_pairs() -> None:
    few, size = corpus_of([65_535, 0, 65_535, 0]), 1 << 16
    figures = ngram_nats(few, few, size, "forward")
    after_one = (2 + 3 / (4 + size)) / 3  # of the two units, each after the other
    after_bos = (1 + 3 / (4 + size)) / 2
    once = (1 + 3 / (4 + size)) / 2  # 65535 follows 0 once
    expected = -(math.log(after_bos) + 2 * math.log(after_one) + math.log(once)) / 4
    assert figures["bigram"] == pytest.approx(expected)
