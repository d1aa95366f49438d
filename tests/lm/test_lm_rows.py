"""Packing on disk, and rows cut from the stream: every pair once an epoch, in every rank."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lm_toys import K, make_experiment, small_config

from entcomp.artifacts.runs import run_starts
from entcomp.artifacts.units import Units
from entcomp.errors import EntcompError
from entcomp.kaldi.ark import ArkWriter, iter_vectors
from entcomp.lm.batches import DevRows, TrainRows, read_and_predict
from entcomp.lm.corpus import Corpus, as_lm_units, pack_corpus
from entcomp.lm.packed import Packed


def corpus_of(vectors: list[np.ndarray]) -> Corpus:
    offsets = np.cumsum([0, *(len(one) for one in vectors)])
    return Corpus(np.concatenate(vectors).astype(np.uint16), offsets, "sha")


def sequences(packed: Packed) -> list[tuple[list[int], list[int]]]:
    bounds = packed.offsets_B.tolist()
    return [
        (packed.inputs_T[a:b].tolist(), packed.targets_T[a:b].tolist()) for a, b in pairwise(bounds)
    ]


def test_bos_is_read_first_and_a_continued_piece_begins_with_its_predecessor() -> None:
    units = np.array([5, 6, 7, 8])
    read, predict = read_and_predict(units, K, 0, 4)
    assert read.tolist() == [K, 5, 6, 7] and predict.tolist() == [5, 6, 7, 8]
    read, predict = read_and_predict(units, K, 2, 4)
    assert read.tolist() == [6, 7] and predict.tolist() == [7, 8]


def test_rows_by_hand() -> None:
    config = small_config(context=4, score_overlap=0, rows_per_batch=2)
    dev = DevRows(corpus_of([np.array([1, 2, 3]), np.array([4, 5, 6, 7, 8])]), config, K)
    assert len(dev) == 1
    assert sequences(dev[0]) == [
        ([K, 1, 2], [1, 2, 3]),
        ([K], [4]),
        ([4, 5, 6, 7], [5, 6, 7, 8]),
    ]


def test_backward_rows_read_from_the_end() -> None:
    config = small_config(context=4, score_overlap=0, rows_per_batch=2, direction="backward")
    dev = DevRows(corpus_of([np.array([1, 2, 3])]), config, K)
    assert sequences(dev[0]) == [([K, 3, 2], [3, 2, 1])]


@settings(max_examples=30, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 30), min_size=1, max_size=12),
    context=st.integers(2, 16),
    rows=st.integers(1, 3),
)
def test_an_epoch_holds_every_pair_once(lengths: list[int], context: int, rows: int) -> None:
    """Units are numbered through, so that a pair tells where it comes from."""
    total = sum(lengths)
    parts = np.split(np.arange(total), np.cumsum(lengths)[:-1])
    config = small_config(context=context, score_overlap=0, rows_per_batch=rows)
    train = TrainRows(corpus_of(parts), config, num_clusters=total)
    expected = [
        (total if i == 0 else part[i - 1], part[i]) for part in parts for i in range(len(part))
    ]
    epochs = 2
    pairs: list[tuple[int, int]] = []
    step = 0
    while len(pairs) < epochs * total:
        packed = train.batch(step)
        assert len(packed.targets_T) == rows * context
        pairs += zip(packed.inputs_T.tolist(), packed.targets_T.tolist(), strict=True)
        step += 1
    for epoch in range(epochs):
        assert sorted(pairs[epoch * total : (epoch + 1) * total]) == sorted(expected)
    dev = DevRows(corpus_of(parts), config, num_clusters=total)
    seen = [
        pair
        for index in range(len(dev))
        for pair in zip(dev[index].inputs_T.tolist(), dev[index].targets_T.tolist(), strict=True)
    ]
    assert seen == expected


def test_epochs_are_shuffled_and_a_batch_is_a_function_of_its_step() -> None:
    parts = np.split(np.arange(400), 20)
    config = small_config(context=20, score_overlap=0, rows_per_batch=4)
    train = TrainRows(corpus_of(parts), config, num_clusters=400)
    order = [train.batch(step).targets_T.tolist() for step in range(10)]
    assert order[:5] != order[5:]
    again = TrainRows(corpus_of(parts), config, num_clusters=400)
    assert [again.batch(step).targets_T.tolist() for step in (9, 0, 5)] == [
        order[9],
        order[0],
        order[5],
    ]


def test_ranks_share_a_batch() -> None:
    parts = np.split(np.arange(400), 20)
    config = small_config(context=16, score_overlap=0, rows_per_batch=4)
    train = TrainRows(corpus_of(parts), config, num_clusters=400)
    whole = train.batch(3).targets_T.tolist()
    halves = [train.batch(3, rank, 2).targets_T.tolist() for rank in (0, 1)]
    assert sorted(halves[0] + halves[1]) == sorted(whole) and len(halves[0]) == len(halves[1])


def test_rows_that_devices_cannot_share_are_refused() -> None:
    config = small_config(rows_per_batch=3, training={"devices": 2})
    with pytest.raises(EntcompError, match=r"rows_per_batch.*2 devices"):
        TrainRows(corpus_of([np.arange(9)]), config, K)


def test_runs() -> None:
    units = np.array([4, 4, 1, 2, 2, 2, 4])
    assert run_starts(units).tolist() == [0, 2, 3, 6]
    assert as_lm_units(units, "dedup").tolist() == [4, 1, 2, 4]
    assert as_lm_units(units, "raw") is units


def test_packed_file_holds_the_units_of_all_sets(tmp_path: Path) -> None:
    _, experiment = make_experiment(tmp_path, {"one": 4, "two": 3})
    sets = [Units.open(experiment, name) for name in ("one", "two")]
    corpus = pack_corpus(sets, "raw", tmp_path / "packed", "train", skip_bad=False)
    vectors = [units for one in sets for _, units in iter_vectors(one.scp)]
    assert len(corpus) == 7 and isinstance(corpus.units, np.memmap)
    assert all(np.array_equal(corpus[index], units) for index, units in enumerate(vectors))
    dedup = pack_corpus(sets, "dedup", tmp_path / "packed", "train", skip_bad=False)
    assert dedup[0].tolist() == as_lm_units(vectors[0], "dedup").tolist()
    assert dedup.sha256 != corpus.sha256
    before = (tmp_path / "packed" / "train.units").stat().st_mtime_ns
    pack_corpus(sets, "dedup", tmp_path / "packed", "train", skip_bad=False)
    assert (tmp_path / "packed" / "train.units").stat().st_mtime_ns == before


def test_a_unit_outside_the_codebook_names_file_and_utterance(tmp_path: Path) -> None:
    _, experiment = make_experiment(tmp_path, {"one": 2})
    with ArkWriter(experiment.units("one"), "units") as ark:
        ark.write("bad", np.array([0, K], np.int32))
        ark.write("good", np.array([0, 1], np.int32))
    sets = [Units.open(experiment, "one")]
    with pytest.raises(EntcompError, match=rf"units.scp: unit {K} outside.*utterance bad"):
        pack_corpus(sets, "raw", tmp_path / "packed", "train", skip_bad=False)
    assert not list((tmp_path / "packed").iterdir())
    corpus = pack_corpus(sets, "raw", tmp_path / "packed", "train", skip_bad=True)
    assert len(corpus) == 1
    assert (tmp_path / "packed" / "train.skipped.txt").read_text().startswith("bad ")


def test_units_of_another_codebook_are_refused(tmp_path: Path) -> None:
    from entcomp.artifacts.stage import Stage

    _, experiment = make_experiment(tmp_path, {"one": 2})
    Stage(experiment.units("one"), {"codebook_sha256": "another"}).finish({})
    with pytest.raises(EntcompError, match="another codebook; rerun dump-units"):
        Units.open(experiment, "one")
