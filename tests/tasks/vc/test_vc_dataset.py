"""Batches of prompts and targets: pure functions of the step."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from vc_toys import UNITS, toy_config, write_toy_corpus

from entcomp.errors import EntcompError
from entcomp.kaldi.datadir import Utterance
from entcomp.tasks.vc.config import BatchConfig
from entcomp.tasks.vc.content import FrameMap, Layout
from entcomp.tasks.vc.corpus import VcUtterance
from entcomp.tasks.vc.dataset import Excerpt, VcBatches, read_mel

CONFIG = toy_config()
CLOCK = FrameMap.between(UNITS, CONFIG.mel)


def test_a_batch_is_a_function_of_its_step(tmp_path: Path) -> None:
    corpus = write_toy_corpus(tmp_path)
    one, other = (VcBatches(corpus, CLOCK, CONFIG).batch(5) for _ in range(2))
    assert torch.equal(one.mel_BMN, other.mel_BMN) and torch.equal(one.rows_BM, other.rows_BM)
    assert not torch.equal(one.target_BM, VcBatches(corpus, CLOCK, CONFIG).batch(6).target_BM)


def test_ranks_share_the_batch(tmp_path: Path) -> None:
    batches = VcBatches(write_toy_corpus(tmp_path), CLOCK, CONFIG)
    whole = batches.batch(3)
    halves = [batches.batch(3, rank, 2) for rank in range(2)]
    sums = torch.cat([half.mel_BMN.sum(dim=(1, 2)) for half in halves])
    torch.testing.assert_close(sums, whole.mel_BMN.sum(dim=(1, 2)))


def test_every_utterance_is_a_target_once_an_epoch(tmp_path: Path) -> None:
    corpus = write_toy_corpus(tmp_path, speakers=2, each=4)
    batches = VcBatches(corpus, CLOCK, CONFIG)
    assert sorted(batches._target(number) for number in range(8)) == list(range(8))


def test_prompts_are_other_utterances_of_the_same_speaker(tmp_path: Path) -> None:
    config = toy_config(batch=BatchConfig(size=6, prompt_dropout=0.0))
    corpus = write_toy_corpus(tmp_path, speakers=3, each=2)
    batch = VcBatches(corpus, CLOCK, config).batch(0)
    mels = [read_mel(one.audio, config.mel) for one in corpus]
    for b in range(6):
        prompt, target = (batch.mel_BMN[b, mask[b]] for mask in (batch.prompt_BM, batch.target_BM))
        found = [
            next(i for i, mel in enumerate(mels) if mel.shape == part.shape and (mel == part).all())
            for part in (prompt, target)
        ]
        assert found[0] != found[1] and found[0] // 2 == found[1] // 2
        assert torch.equal(batch.speaker_BE[b], torch.from_numpy(corpus[found[0]].embedding))


def test_cuts_keep_mel_and_content_together(tmp_path: Path) -> None:
    """Rows of a cut are those of the whole utterance at the same mel frames."""
    config = toy_config(batch=BatchConfig(size=1, max_target=0.4, prompt_dropout=1.0))
    corpus = write_toy_corpus(tmp_path, speakers=1, each=2)
    batches = VcBatches(corpus, CLOCK, config)
    batch = batches.batch(0)
    index = batches._target(0)
    whole = batches._excerpt(corpus[index])
    frames = batch.mel_BMN.shape[1]
    first = next(
        i
        for i in range(len(whole.mel) - frames + 1)
        if torch.equal(whole.mel[i : i + frames], batch.mel_BMN[0])
    )
    # A prompt without frames has one group, which comes first in the table.
    ends = batch.tokens.group_sizes_G.cumsum(0).tolist()
    whole_ends = np.cumsum(whole.groups)
    rows = whole.rows[first : first + frames]
    assert (rows > 0).tolist() == (batch.rows_BM[0] > 0).tolist() and rows.any()
    for row, batch_row in zip(rows[rows > 0], batch.rows_BM[0][rows > 0], strict=True):
        units = whole.units[whole_ends[row - 1] - whole.groups[row - 1] : whole_ends[row - 1]]
        tokens = batch.tokens.tokens_N[ends[batch_row - 2] : ends[batch_row - 1]]
        np.testing.assert_array_equal(tokens, units)


@pytest.mark.parametrize("layout", ["repeat", "zero_insert"])
def test_cuts_bring_the_groups_around_them_and_no_others(layout: Layout) -> None:
    """Of 40 groups of 25 frames, frames 500 to 560 bring those from 460 to 600."""
    units = np.arange(40, dtype=np.int32)
    starts = np.arange(40) * 25
    rows = np.repeat(np.arange(1, 41), 25)
    if layout == "zero_insert":
        rows = np.where(np.isin(np.arange(1000), starts), rows, 0)
    whole = Excerpt(torch.arange(1000.0).unsqueeze(1), rows, units, np.ones_like(units))
    cut = whole.cut(500, 60)
    assert cut.mel[:, 0].tolist() == list(range(500, 560))
    assert cut.units.tolist() == list(range(18 if layout == "repeat" else 19, 24))
    there = cut.rows > 0
    np.testing.assert_array_equal(cut.units[cut.rows[there] - 1], rows[500:560][there] - 1)
    assert whole.cut(0, 0).units.tolist() == [0]


def test_a_cut_inside_of_a_long_group_has_no_rows() -> None:
    rows = np.where(np.arange(300) == 0, 1, 0)
    units = np.zeros(130, np.int32)
    cut = Excerpt(torch.zeros(300, 1), rows, units, np.array([130], np.int32)).cut(200, 50)
    assert not cut.rows.any() and cut.groups.tolist() == [130] and len(cut.units) == 130


def test_an_utterance_without_a_voice_is_no_prompt(tmp_path: Path) -> None:
    corpus = write_toy_corpus(tmp_path, speakers=1, each=3)
    corpus[0] = replace(corpus[0], embedding=np.zeros(0, np.float32))
    batches = VcBatches(corpus, CLOCK, CONFIG)
    assert batches.targets.tolist() == [0, 1, 2] and batches._prompts(1).tolist() == [2]


def test_targets_and_prompts_are_those_of_lists(tmp_path: Path) -> None:
    """As they were when each speaker had a list: the same draws for the same seed."""
    generator = np.random.default_rng(0)
    utterances = made_up(generator.integers(0, 60, 300), generator.random(300) < 0.8)
    batches = VcBatches(utterances, CLOCK, CONFIG)
    prompts = [
        [
            i
            for i, other in enumerate(utterances)
            if other.speaker == one.speaker and other.has_voice and i != target
        ]
        for target, one in enumerate(utterances)
    ]
    assert [batches._prompts(i).tolist() for i in range(300)] == prompts
    assert batches.targets.tolist() == [i for i in range(300) if prompts[i]]
    assert 0 < len(batches.targets) < 300
    for target in batches.targets:
        one, other = (np.random.default_rng(target) for _ in range(2))
        assert one.choice(prompts[target]) == other.choice(batches._prompts(target))


def test_finding_prompts_took_quadratic_time() -> None:
    """A list for each utterance of a speaker: minutes, and gigabytes, for 20,000 of them."""
    utterances = made_up(np.zeros(20_000, int), np.ones(20_000, bool))
    tracemalloc.start()
    batches = VcBatches(utterances, CLOCK, CONFIG)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200 * 20_000
    assert len(batches.targets) == 20_000 and len(batches._prompts(7)) == 19_999


def made_up(speakers: np.ndarray, voiced: np.ndarray) -> list[VcUtterance]:
    """Utterances without audio."""
    nothing, voice = np.zeros(0, np.float32), np.ones(1, np.float32)
    return [
        VcUtterance(
            Utterance(str(i), ""), str(speaker), nothing, nothing, voice if has else nothing
        )
        for i, (speaker, has) in enumerate(zip(speakers, voiced, strict=True))
    ]


def test_lonely_utterances_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(EntcompError, match="no speaker has two utterances"):
        VcBatches(write_toy_corpus(tmp_path, speakers=3, each=1), CLOCK, CONFIG)


def test_units_that_outlast_the_audio_name_the_utterance(tmp_path: Path) -> None:
    corpus = write_toy_corpus(tmp_path)
    many = np.zeros(500, np.int32)
    corpus = [replace(one, units=many, groups=np.ones_like(many)) for one in corpus]
    with pytest.raises(EntcompError, match=r"longer than the audio.*utterance s\d_\d"):
        VcBatches(corpus, CLOCK, CONFIG).batch(0)
