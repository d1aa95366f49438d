"""Batches as a pure function of the step, and masks."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from entcomp.artifacts.experiment import Experiment
from entcomp.encoder.packed import PackedTokens
from entcomp.errors import EntcompError
from entcomp.evaluation.text.normalizer import normalize
from entcomp.kaldi.ark import ArkWriter
from entcomp.tasks.text.config import TextTaskConfig
from entcomp.tasks.text.corpus import Corpus, RowDecoder, SegmentedStreams, Stream
from entcomp.tasks.text.data import TextBatches, mask_spans
from entcomp.tasks.text.model import TextBatch
from entcomp.tasks.text.vocabulary import Vocabulary
from entcomp.training.loop import Steps
from entcomp.training.utterances import UtteranceDataset, iter_offsets, stored_datasets

VOCABULARY = Vocabulary.train(
    ["abcdefghij"], TextTaskConfig().vocabulary.model_copy(update={"kind": "char"})
)
MASK = 50


def corpus_of(lengths: list[int]) -> Corpus:
    """Utterance i consists of unit i only, so that a batch tells who is in it."""
    streams = [
        Stream(f"u{index:03d}", np.full(length, index % MASK, np.int32), np.ones(length, np.int32))
        for index, length in enumerate(lengths)
    ]
    return Corpus([(stream, "ab") for stream in streams])


def batches_of(lengths: list[int], batch_frames: int, **changes: object) -> TextBatches:
    config = TextTaskConfig(batch_frames=batch_frames, mask_fraction=0.0)
    return TextBatches(corpus_of(lengths), VOCABULARY, config.model_copy(update=changes), MASK)


@contextmanager
def on_disk(folder: Path, utterances: list[tuple[Stream, str]]) -> Iterator[UtteranceDataset]:
    """The same utterances, their units and groups in archives."""
    with ArkWriter(folder, "units") as units, ArkWriter(folder, "groups") as groups:
        for stream, _ in utterances:
            units.write(stream.utt_id, stream.units)
            groups.write(stream.utt_id, stream.groups)
    places = zip(
        *(iter_offsets(folder / f"{name}.scp") for name in ("units", "groups")), strict=True
    )
    rows = (
        (stream.utt_id, text, one, other)
        for (stream, text), ((_, one), (_, other)) in zip(utterances, places, strict=True)
    )
    make = RowDecoder(SegmentedStreams(Experiment(folder), "a_tag"))
    with stored_datasets(folder, rows, [], make=make) as (found, _):
        yield found


def members(source: PackedTokens) -> list[int]:
    return [int(one[0]) for one in source.tokens_N.split(source.num_tokens_B.tolist())]


@given(st.lists(st.integers(1, 100), min_size=1, max_size=MASK), st.integers(100, 400))
@settings(max_examples=40, deadline=None)
def test_an_epoch_holds_each_utterance_once(lengths: list[int], batch_frames: int) -> None:
    batches = batches_of(lengths, batch_frames)
    for epoch in (0, 3):
        steps = range(epoch * batches.batches_an_epoch, (epoch + 1) * batches.batches_an_epoch)
        parts = [batches.batch(step).source for step in steps]
        assert sorted(one for part in parts for one in members(part)) == list(range(len(lengths)))
        assert all(len(part.tokens_N) <= 2 * batch_frames + 100 for part in parts)


def equal(one: TextBatch, other: TextBatch) -> bool:
    return torch.equal(one.source.tokens_N, other.source.tokens_N) and torch.equal(
        one.target_BL, other.target_BL
    )


def test_a_batch_is_a_function_of_seed_and_step() -> None:
    lengths = list(range(20, 60))
    first, second = (batches_of(lengths, 300, mask_fraction=0.3) for _ in range(2))
    for step in (17, 2, 40):  # in any order
        assert equal(first.batch(step), second.batch(step))
    assert not equal(first.batch(1), first.batch(1 + first.batches_an_epoch))


def test_hash_and_batches_are_as_before_utterances_lay_on_disk(tmp_path: Path) -> None:
    """A model trained before goes on, by its hash, and with the batches that it would have had."""
    generator = np.random.default_rng(5)
    utterances = []
    for index in range(60):
        length = int(generator.integers(5, 80))
        groups = [5] * (length // 5) + [length % 5] * (length % 5 > 0)
        units = generator.integers(0, 50, length).astype(np.int32)
        stream = Stream(f"u{index:03d}", units, np.array(groups, np.int32))
        utterances.append((stream, "abcdefghij"[: 1 + index % 10]))
    with on_disk(tmp_path, utterances) as found:
        corpus = Corpus(found)
        assert corpus.sha256 == "ad569aff1534e47747c49afe15c09e909cfe11cf9efca082d4cef05d7c93e5da"
        batches = TextBatches(corpus, VOCABULARY, TextTaskConfig(batch_frames=300), MASK)
        digest = hashlib.sha256()
        for step in (0, 3, 9, 25, 100):
            one = batches.batch(step)
            for tensor in (one.source.tokens_N, one.source.group_sizes_G, one.target_BL):
                digest.update(tensor.numpy().tobytes())
    assert digest.hexdigest() == "462c7f90f725aa5f31613c6057b319d6d7eaa85fd93e2fa4d1f97a5da57902ca"


def test_an_epoch_is_cut_as_lists_were() -> None:
    batches = batches_of(np.random.default_rng(0).integers(1, 100, 500).tolist(), 400)
    for epoch in range(3):
        generator = np.random.default_rng([0, epoch])
        order = np.argsort(batches.lengths * generator.uniform(0.9, 1.1, 500))
        lengths = batches.lengths[order]
        middles = np.cumsum(lengths) - lengths / 2
        batch = (middles * batches.batches_an_epoch / lengths.sum()).astype(np.int64)
        parts = np.split(order, np.flatnonzero(np.diff(batch)) + 1)
        planned, cuts = batches._plan(epoch)
        assert len(cuts) == batches.batches_an_epoch == len(parts)
        for (begin, end), part in zip(cuts, generator.permutation(len(parts)), strict=True):
            assert planned[begin:end].tolist() == parts[part].tolist()


def test_workers_read_utterances_from_disk(tmp_path: Path) -> None:
    with on_disk(tmp_path, list(corpus_of(list(range(20, 60))).utterances)) as utterances:
        config = TextTaskConfig(batch_frames=300, mask_fraction=0.3)
        batches = TextBatches(Corpus(utterances), VOCABULARY, config, MASK)
        loader = DataLoader(Steps(batches), batch_size=None, sampler=range(9), num_workers=2)
        assert all(equal(found, batches.batch(step)) for step, found in enumerate(loader))


def test_ranks_share_a_batch() -> None:
    batches = batches_of(list(range(20, 60)), 500, mask_fraction=0.3)
    whole = batches.batch(3).source
    parts = [batches.batch(3, rank, 3).source for rank in range(3)]
    assert sorted(members(whole)) == sorted(one for part in parts for one in members(part))
    masked = sum(int((part.tokens_N == MASK).sum()) for part in parts)
    assert masked == int((whole.tokens_N == MASK).sum()) > 0


def test_too_few_utterances_for_the_devices() -> None:
    with pytest.raises(EntcompError, match="fewer utterances than devices"):
        batches_of([10, 10], 10).batch(0, rank=3, world_size=4)


def test_utterance_longer_than_a_batch() -> None:
    with pytest.raises(EntcompError, match="batch_frames: 50 is less than the longest"):
        batches_of([10, 60], 50)


def test_utterances_in_a_batch_have_similar_lengths() -> None:
    generator = np.random.default_rng(0)
    batches = batches_of(generator.integers(10, 500, 400).tolist(), 4000)
    used = padded = 0
    for step in range(batches.batches_an_epoch):
        lengths = batches.batch(step).source.num_tokens_B
        used, padded = used + int(lengths.sum()), padded + int(lengths.max() * len(lengths))
    assert used / padded > 0.75


def test_dev_is_complete_and_unmasked() -> None:
    dev = batches_of([30, 7, 90, 40], 100, mask_fraction=0.9).in_order()
    assert [one for batch in dev for one in members(batch.source)] == [1, 0, 3, 2]
    assert not any((batch.source.tokens_N == MASK).any() for batch in dev)


def test_masks_cover_the_stated_fraction_in_spans() -> None:
    generator = np.random.default_rng(0)
    units = np.zeros(1000, np.int32)
    masked = np.array([mask_spans(units, 1, 0.2, 10, generator) for _ in range(200)])
    assert masked.mean() == pytest.approx(1 - np.exp(-0.2), abs=0.01)  # spans may overlap
    assert units.sum() == 0
    starts = np.count_nonzero(np.diff(masked, axis=1) == 1)
    assert masked.sum() / starts > 9


def test_draws_replace_groups_and_do_not_depend_on_the_batch() -> None:
    plain = corpus_of([40, 40, 40])
    utterances = [
        (replace(one, row=(one.utt_id, one.units, None)), text) for one, text in plain.utterances
    ]
    corpus = Corpus(utterances, lambda row, random: cut(int(random.integers(2, 30)), len(row[1])))
    config = TextTaskConfig(batch_frames=40, mask_fraction=0.0)
    batches = TextBatches(corpus, VOCABULARY, config, MASK)
    sizes = {tuple(batches.batch(step).source.group_sizes_G.tolist()) for step in range(12)}
    assert len(sizes) > 6
    assert torch.equal(batches.batch(5).source.group_sizes_G, batches.batch(5).source.group_sizes_G)


def cut(place: int, length: int) -> np.ndarray:
    return np.array([place, length - place], np.int32)


def test_a_piece_that_is_a_space_makes_no_double_space() -> None:
    texts = ["one two", "two one", "one one two"]
    config = TextTaskConfig().vocabulary.model_copy(update={"kind": "char"})
    vocabulary = Vocabulary.train(texts, config)
    space = vocabulary.pieces.piece_to_id("\u2581")
    one, two = vocabulary.encode("one"), vocabulary.encode("two")
    assert vocabulary.decode([*one, space, *two]) == "one two"


@pytest.mark.parametrize("kind", ["unigram", "bpe", "char"])
@pytest.mark.parametrize(
    "text",
    [
        "मेरा नाम राम है।",
        "น้ำใจ ที่นี่",
        "می\u200cخواهم کتاب\u200cها را",
        "അവന് ശ്\u200dരീ മലയാളം",
        "العَرَبِيَّةُ لُغَة",
        "Ọ̀rẹ́ mi ẹ káàárọ̀",
    ],
)
def test_pieces_can_write_every_vowel_sign(kind: str, text: str) -> None:
    words = normalize(text, "basic")
    assert len(words.split()) == len(text.split())
    config = TextTaskConfig().vocabulary.model_copy(update={"kind": kind, "size": 60})
    vocabulary = Vocabulary.train([words], config)
    assert vocabulary.decode(vocabulary.encode(words)) == words
