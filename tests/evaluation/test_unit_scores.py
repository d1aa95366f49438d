"""Units against phones and speakers, and bit rates of streams: numbers worked by hand."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import run
from fake_alignment import write_grid
from fake_experiment import write_vectors
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import mutual_info_score

from entcomp.artifacts.experiment import Experiment, UnitsInfo
from entcomp.evaluation.units.counts import JointCounts, entropy, mutual_information
from entcomp.evaluation.units.phones import phone_scores, phones_of_frames
from entcomp.evaluation.units.speakers import speaker_scores
from entcomp.evaluation.units.streams import stream_scores, units_of_groups
from entcomp.formats.textgrid import Interval

LN2 = np.log(2)


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


def test_phone_scores_by_hand() -> None:
    """Phone 0: units 0 0 0 1; phone 1: units 1 1 2 2. The frame of no phone does not count."""
    units, phones = ints(0, 0, 0, 1, 7, 1, 1, 2, 2), np.array([0, 0, 0, 0, -1, 1, 1, 1, 1])
    found = phone_scores([(units, phones)])
    assert found["frames"] == 8
    assert found["phone_purity"] == pytest.approx((3 + 2 + 2) / 8)
    assert found["cluster_purity"] == pytest.approx((3 + 2) / 8)
    assert found["phone_entropy"] == pytest.approx(LN2, abs=1e-6)
    # H(unit): 3, 3, 2 of 8; H(phone, unit): 3, 1, 2, 2 of 8.
    of_units = -(2 * 3 / 8 * np.log(3 / 8) + 2 / 8 * np.log(2 / 8))
    of_both = -(3 / 8 * np.log(3 / 8) + 1 / 8 * np.log(1 / 8) + 2 * 2 / 8 * np.log(2 / 8))
    information = LN2 + of_units - of_both
    assert found["mutual_information"] == pytest.approx(information, abs=1e-6)
    assert found["pnmi"] == pytest.approx(information / LN2, abs=1e-6)


def test_units_that_are_phones_and_units_that_know_none() -> None:
    phones = np.array([0, 1, 2, 3] * 5)
    perfect = phone_scores([(phones.astype(np.int32), phones)] * 3)
    assert (perfect["pnmi"], perfect["phone_purity"], perfect["cluster_purity"]) == (1, 1, 1)
    assert perfect["interval"]["pnmi"] == [1, 1]
    blind = phone_scores([(np.zeros(20, np.int32), phones)])
    assert blind["pnmi"] == 0 and blind["phone_purity"] == 0.25 and blind["cluster_purity"] == 1


PAIRS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5)), min_size=1, max_size=40)


@given(st.lists(PAIRS, min_size=1, max_size=4), st.data())
def test_counts_against_scikit_learn(utterances: list[Any], data: st.DataObject) -> None:
    """With utterances drawn any number of times."""
    arrays = [np.array(one).T for one in utterances]
    pairs = JointCounts.of((rows, columns) for rows, columns in arrays)
    weights = np.array([data.draw(st.integers(0, 3)) for _ in utterances])
    weights[0] += 1
    rows, columns = np.concatenate([np.tile(a, w) for a, w in zip(arrays, weights, strict=True)], 1)
    totals = pairs.totals(weights)
    found = mutual_information(pairs.rows, pairs.columns, totals)
    assert found == pytest.approx(mutual_info_score(rows, columns), abs=1e-9)
    assert totals.sum() == len(rows)


def test_entropies() -> None:
    assert entropy(np.array([1, 1, 0, 2])) == pytest.approx(1.5 * LN2)
    assert entropy(np.array([5])) == 0
    assert np.isnan(entropy(np.array([0, 0])))


def test_phones_at_the_middle_of_frames() -> None:
    """Frames of 20 ms from 10 ms on: their middles are at 20, 40, 60, ... ms."""
    info = UnitsInfo("imported", 0, 100, 16000, 320, 160, "c0de")
    spans = [Interval(0.02, 0.05, "a"), Interval(0.05, 0.08, "b"), Interval(0.1, 0.13, "a")]
    numbers: dict[str, int] = {}
    assert phones_of_frames(7, spans, info, numbers).tolist() == [0, 0, 1, -1, 0, 0, -1]
    assert numbers == {"a": 0, "b": 1}
    assert phones_of_frames(2, [], info, numbers).tolist() == [-1, -1]


def test_units_of_groups() -> None:
    """The most frequent one; of two as frequent, the lowest."""
    found, numbers = units_of_groups(ints(4, 2, 4, 9, 9, 3, 3, 1), ints(3, 4, 1))
    assert found.tolist() == [4, 3, 1] and numbers.tolist() == [2, 2, 1]


def test_streams_by_hand() -> None:
    units = ints(0, 0, 0, 1, 2, 2, 0, 1)
    raw = stream_scores([(units, np.ones(8, np.int32))], 0.02)
    of_frames = -(4 / 8 * np.log(4 / 8) + 2 * 2 / 8 * np.log(2 / 8))
    assert raw["rate"] == 50 and raw["kept"] == 1
    assert raw["entropy"] == raw["entropy_with_lengths"] == pytest.approx(of_frames, abs=1e-6)
    assert raw["bits_per_second"] == pytest.approx(50 * 1.5)
    runs = stream_scores([(units, ints(3, 1, 2, 1, 1))], 0.02)
    assert runs["rate"] == pytest.approx(31.25) and runs["kept"] == 1
    # Units 0 1 2 0 1; with lengths 0x3 1x1 2x2 0x1 1x1.
    plain = -(2 * 2 / 5 * np.log2(2 / 5) + 1 / 5 * np.log2(1 / 5))
    timed = -(2 / 5 * np.log2(2 / 5) + 3 * 1 / 5 * np.log2(1 / 5))
    assert runs["entropy"] == pytest.approx(plain * LN2, abs=1e-6)
    assert runs["bits_per_second"] == pytest.approx(31.25 * plain, abs=1e-5)
    assert runs["bits_per_second_with_lengths"] == pytest.approx(31.25 * timed, abs=1e-5)
    halves = stream_scores([(units, ints(4, 4))], 0.02)  # sent as 0 and 2
    assert halves["rate"] == 12.5 and halves["kept"] == (3 + 2) / 8
    assert halves["bits_per_second"] == halves["bits_per_second_with_lengths"] == 12.5


def speech(tell: float, seed: int = 0) -> tuple[list[np.ndarray], list[str]]:
    """Four speakers of 40 utterances; a share ``tell`` of their units are theirs alone."""
    generator = np.random.default_rng(seed)
    utterances, speakers = [], []
    for number in range(160):
        units = generator.integers(0, 20, 50)
        own = generator.random(50) < tell
        utterances.append(np.where(own, 20 + number % 4, units).astype(np.int32))
        speakers.append(f"s{number % 4}")
    return utterances, speakers


def test_speakers_that_are_known_and_unknown() -> None:
    """A quarter of the frames names one of four speakers, the others none: ln 4 / 4 nats."""
    found = speaker_scores(*speech(0.25))
    assert found["speakers"] == 4 and found["speaker_entropy"] == pytest.approx(np.log(4))
    assert found["information"] == pytest.approx(np.log(4) / 4, rel=0.05)
    assert found["share"] == pytest.approx(found["information"] / np.log(4), abs=1e-5)
    low, high = found["interval"]["information"]
    assert low < np.log(4) / 4 < high
    blind = speaker_scores(*speech(0))
    assert abs(blind["information"]) < 0.001 < blind["chance"]
    assert blind == speaker_scores(*speech(0))


@pytest.mark.parametrize("each", [2, 3, 5])
def test_what_few_utterances_tell_of_speakers_was_taken_for_chance(each: int) -> None:
    """With two a speaker half of it was: speakers dealt out anew keep one utterance in two."""
    generator = np.random.default_rng(0)
    owners = [speaker for speaker in range(60) for _ in range(each)]
    own = generator.random((60, 30)).argsort(axis=1)[:, :15]  # half of the units each
    utterances = [own[speaker][generator.integers(0, 15, 400)] for speaker in owners]
    found = speaker_scores(utterances, [str(speaker) for speaker in owners])
    counts = np.zeros((60, 30))
    np.put_along_axis(counts, own, 1 / 15, axis=1)
    shares = counts.mean(axis=0)
    truth = -(shares * np.log(shares)).sum() - np.log(15)
    assert found["information"] == pytest.approx(truth, rel=0.08)


def test_of_speakers_with_one_utterance_each_nothing_is_said() -> None:
    utterances, _ = speech(0.25)
    found = speaker_scores(utterances[:8], [str(number) for number in range(8)])
    assert found["information"] is found["share"] is None


def test_what_texts_tell_is_not_what_speakers_tell() -> None:
    """Each utterance has units of its own, whoever speaks: a lot of plain information."""
    generator = np.random.default_rng(0)
    utterances = [generator.integers(5 * n, 5 * n + 5, 50).astype(np.int32) for n in range(40)]
    found = speaker_scores(utterances, [f"s{number % 4}" for number in range(40)])
    assert found["chance"] == pytest.approx(np.log(4), abs=1e-6)
    assert found["information"] == pytest.approx(0, abs=1e-6)


@settings(max_examples=10, deadline=None)
@given(st.lists(PAIRS, min_size=2, max_size=5))
def test_intervals_hold_their_scores(utterances: list[Any]) -> None:
    arrays = [tuple(np.array(one).T) for one in utterances]
    found = phone_scores([(columns, rows) for rows, columns in arrays])
    for name, (low, high) in found["interval"].items():
        if found[name] is not None:
            assert low <= found[name] <= high, name


def test_an_interval_of_a_share_reached_beyond_100_percent() -> None:
    """It is moved to have its mean at the score: 96.1% [88.5, 100.06]."""
    units = np.zeros(4, np.int32)
    found = phone_scores([*[(units, np.zeros(4, int))] * 3, (units, np.array([0, 0, 0, 1]))])
    assert found["phone_purity"] == 0.9375
    assert found["interval"]["phone_purity"][1] == 1


@pytest.fixture
def made(tmp_path: Path) -> tuple[Path, Experiment]:
    """Two speakers of two utterances, whose phones a and b are units 0 and 1 for 100 ms each."""
    data, experiment = tmp_path / "data", Experiment(tmp_path / "exp")
    UnitsInfo("imported", 0, 2, 16000, 320, 0, "c0de").write(experiment.units_json)
    ids = ["s1-a", "s1-b", "s2-a", "s2-b"]
    data.mkdir()
    (data / "text").write_text("".join(f"{utt_id} x\n" for utt_id in ids))
    (data / "utt2spk").write_text("".join(f"{utt_id} {utt_id[:2]}\n" for utt_id in ids))
    units = {utt_id: np.repeat([0, 1, 0, 1], 5).astype(np.int32) for utt_id in ids}
    write_vectors(experiment.units("data"), "units", units, "c0de")
    tens = {utt_id: np.full(2, 10, np.int32) for utt_id in ids}
    write_vectors(experiment.segments("ten") / "data", "groups", tens, "c0de")
    edges = list(pairwise([0, 0.1, 0.2, 0.3, 0.4]))
    spans = [(*span, label) for span, label in zip(edges, "abab", strict=True)]
    for utt_id in ids:
        write_grid(experiment.alignments("data") / f"{utt_id}.TextGrid", 0.4, phones=spans)
    return data, experiment


def test_the_command(made: tuple[Path, Experiment]) -> None:
    data, experiment = made
    code, out, err = run("evaluate-units", data, experiment.path)
    assert code == 0, err
    folder = experiment.path / "unit_eval/data"
    found = json.loads((folder / "scores.json").read_text())
    phones = found["phones"]
    assert (phones["pnmi"], phones["scored"], phones["labels"]) == (1, 4, 2)
    assert found["speakers"]["information"] == pytest.approx(0, abs=1e-6)
    streams = {tag: found["streams"].pop(tag) for tag in ("raw", "dedup", "ten")}
    assert not found["streams"]
    assert [one["rate"] for one in streams.values()] == [50, 10, 5]
    assert [one["bits_per_second"] for one in streams.values()] == [50, 10, 0]
    assert [one["kept"] for one in streams.values()] == [1, 1, 0.5]
    page = (folder / "table.md").read_text()
    assert page in out and "| PNMI (%) " in page and "| ten " in page


def test_what_is_not_there_is_said_and_left_out(made: tuple[Path, Experiment]) -> None:
    data, experiment = made
    (data / "utt2spk").unlink()
    for path in experiment.alignments("data").iterdir():
        path.unlink()
    code, out, err = run("evaluate-units", "--segmentation", "ten", data, experiment.path)
    assert code == 0, err
    folder = experiment.alignments("data")
    assert f"data: no TextGrid in {folder}; scored without phones" in out
    assert f"data: {data}/utt2spk is not there; scored without speakers" in out
    found = json.loads((experiment.path / "unit_eval/data/scores.json").read_text())
    assert "phones" not in found and "speakers" not in found and len(found["streams"]) == 3


def test_missing_textgrids_and_bad_ones(made: tuple[Path, Experiment]) -> None:
    data, experiment = made
    (experiment.alignments("data") / "s1-a.TextGrid").unlink()
    bad = experiment.alignments("data") / "s1-b.TextGrid"
    bad.write_text("hello")
    code, _, err = run("evaluate-units", data, experiment.path)
    assert code == 1 and "s1-b.TextGrid: " in err and "not a TextGrid" in err
    code, out, err = run("evaluate-units", "--skip-bad", data, experiment.path)
    assert code == 0, err
    assert "data: 1 utterance has no TextGrid: s1-a" in out and "is left out: s1-b (" in out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--segmentation", "nope"], "segments/nope: no such segmentation; available: raw, dedup"),
        (["--sets", "nope"], "no set 'nope'; available: data"),
    ],
)
def test_mistakes(made: tuple[Path, Experiment], options: list[str], message: str) -> None:
    code, _, err = run("evaluate-units", *options, made[0], made[1].path)
    assert code == 1 and message in err
    assert not (made[1].path / "unit_eval").exists()


def test_utterances_without_a_speaker_and_without_units(made: tuple[Path, Experiment]) -> None:
    data, experiment = made
    (data / "utt2spk").write_text("s1-a s1\n")
    code, _, err = run("evaluate-units", data, experiment.path)
    assert code == 1 and "utt2spk: no speaker of s1-b; add one, or remove the file" in err
    (experiment.units("data") / "units.scp").unlink()
    code, _, err = run("evaluate-units", data, experiment.path)
    assert code == 1 and "no set has units; run dump-units first" in err
