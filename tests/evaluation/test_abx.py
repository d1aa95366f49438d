"""ABX of units and groups, beside the library's own command."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from command_line import run
from fake_alignment import write_grid
from fake_experiment import write_vectors

from entcomp.artifacts.experiment import Experiment, UnitsInfo
from entcomp.artifacts.units import Units
from entcomp.errors import EntcompError
from entcomp.evaluation.units.abx import Triphone, abx_scores, shares_of_units, triphones
from entcomp.formats.textgrid import Interval

CLUSTERS = 6
FRAMES = 4  # of a phone
WORDS = ["abcba", "acbca", "babcb", "bcbab", "cabac", "cbcab"]
INFO = UnitsInfo("imported", 0, CLUSTERS, 16000, 320, 0, "c0de")


def spoken(seed: int, speakers: str = "st", noise: float = 0.3) -> tuple[dict, dict, dict]:
    """Units, intervals and speakers of words; phone i is unit 2i or 2i + 1, and noise is any."""
    generator = np.random.default_rng(seed)
    units, intervals, whose = {}, {}, {}
    for speaker in speakers:
        for number, word in enumerate(WORDS * 2):
            utt_id = f"{speaker}-{number}"
            phones = np.repeat(["abc".index(letter) for letter in word], FRAMES)
            own = 2 * phones + generator.integers(0, 2, len(phones))
            noisy = generator.random(len(own)) < noise
            units[utt_id] = np.where(noisy, generator.integers(0, CLUSTERS, len(own)), own)
            edges = pairwise([FRAMES * INFO.frame_shift * place for place in range(len(word) + 1)])
            intervals[utt_id] = [Interval(*e, c) for e, c in zip(edges, word, strict=True)]
            whose[utt_id] = speaker
    return units, intervals, whose


def items(intervals: dict) -> dict[str, list[Triphone]]:
    numbers: dict[str, int] = {}
    return {utt_id: triphones(own, INFO, numbers) for utt_id, own in intervals.items()}


def one_hot(units: dict) -> Callable[[str], np.ndarray]:
    ones = {utt_id: np.ones(len(own), np.int32) for utt_id, own in units.items()}
    return lambda utt_id: shares_of_units(units[utt_id], ones[utt_id], CLUSTERS)


def test_triphones_end_at_silences() -> None:
    """Times in frames of units that begin 10 ms late; a gap between c and d parts them."""
    late = UnitsInfo("imported", 0, CLUSTERS, 16000, 320, 160, "c0de")
    edges = [(0.01, 0.05, "a"), (0.05, 0.07, "b"), (0.07, 0.13, "c"), (0.15, 0.2, "d")]
    edges += [(0.2, 0.3, "a"), (0.3, 0.35, "a")]
    found = triphones([Interval(*one) for one in edges], late, {})
    assert found == [Triphone(0, 6, 0, 1, 2), Triphone(7, 17, 1, 3, 1)]


def test_shares_of_units() -> None:
    found = shares_of_units(np.array([3, 3, 1, 0]), np.array([3, 1]), 4)
    group = [0, 1 / 3, 0, 2 / 3]
    np.testing.assert_allclose(found, [group, group, group, [1, 0, 0, 0]], atol=1e-7)


@pytest.mark.abx
@pytest.mark.parametrize("seed", [0, 1])
def test_scores_are_those_of_the_library(seed: int, tmp_path: Path) -> None:
    """Of its own command, which reads files, and times in seconds."""
    import zrc_abx2

    units, intervals, whose = spoken(seed)
    found = abx_scores(one_hot(units), items(intervals), whose, seed=5)
    lines = ["file onset offset phone before after speaker"]
    for utt_id, own in intervals.items():
        np.save(tmp_path / f"{utt_id}.npy", np.eye(CLUSTERS, dtype=np.float32)[units[utt_id]])
        for a, b, c in zip(own, own[1:], own[2:], strict=False):
            times = f"{a.start:.3f} {c.end:.3f}"
            lines.append(f"{utt_id} {times} {b.label} {a.label} {c.label} {whose[utt_id]}")
    (tmp_path / "words-test.item").write_text("\n".join(lines))
    arguments = zrc_abx2.EvalArgs(
        *(str(tmp_path), str(tmp_path / "words-test.item")),
        feature_size=INFO.frame_shift,
        context_mode="within",
        seed=5,
    )
    theirs = {
        one["abx-s-condition"]: one["score"] for one in zrc_abx2.EvalABX().eval_abx(arguments)
    }
    assert found["triphones"] == len(lines) - 1
    for mode in ("within", "across"):
        assert found[mode] == pytest.approx(theirs[mode], abs=1e-5)
        low, high = found["interval"][mode]
        assert 0 < low <= found[mode] <= high < 0.5


@pytest.mark.abx
def test_units_that_know_all_nothing_and_only_runs() -> None:
    units, intervals, whose = spoken(0, noise=0)
    phones = {utt_id: own // 2 for utt_id, own in units.items()}
    perfect = abx_scores(one_hot(phones), items(intervals), whose)
    assert perfect["within"] == perfect["across"] == 0
    blind = {utt_id: np.zeros_like(own) for utt_id, own in units.items()}
    assert abx_scores(one_hot(blind), items(intervals), whose)["within"] == pytest.approx(0.5)

    def runs(utt_id: str) -> np.ndarray:
        own = phones[utt_id]
        return shares_of_units(own, np.full(len(own) // FRAMES, FRAMES), CLUSTERS)

    assert abx_scores(runs, items(intervals), whose) == perfect


@pytest.mark.abx
def test_one_speaker_has_no_other() -> None:
    units, intervals, whose = spoken(0, speakers="s")
    found = abx_scores(one_hot(units), items(intervals), whose)
    assert found["within"] > 0
    assert found["across"] is None and found["interval"]["across"] == [None, None]


def test_no_three_phones_in_a_row() -> None:
    with pytest.raises(EntcompError, match="three phones in a row"):
        abx_scores(one_hot({}), {"a": []}, {"a": "s"})


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [one for one in sys.modules if one.startswith("zrc_abx2")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "zrc_abx2", None)
    units, intervals, whose = spoken(0)
    with pytest.raises(EntcompError, match=r"pip install 'entcomp\[abx\]', with a C compiler"):
        abx_scores(one_hot(units), items(intervals), whose)


@pytest.fixture
def made(tmp_path: Path) -> tuple[Path, Experiment]:
    """An experiment whose units are the phones, with words as groups, and its TextGrids."""
    data, experiment = tmp_path / "data", Experiment(tmp_path / "exp")
    INFO.write(experiment.units_json)
    units, intervals, whose = spoken(0, noise=0)
    units = {utt_id: (units[utt_id] // 2).astype(np.int32) for utt_id in sorted(units)}
    data.mkdir()
    (data / "text").write_text("".join(f"{utt_id} x\n" for utt_id in units))
    (data / "utt2spk").write_text("".join(f"{utt_id} {whose[utt_id]}\n" for utt_id in units))
    write_vectors(experiment.units("data"), "units", units, "c0de")
    groups = {utt_id: np.array([len(own)], np.int32) for utt_id, own in units.items()}
    write_vectors(experiment.segments("word") / "data", "groups", groups, "c0de")
    for utt_id in units:
        spans = [(one.start, one.end, one.label) for one in intervals[utt_id]]
        path = experiment.alignments("data") / f"{utt_id}.TextGrid"
        write_grid(path, spans[-1][1], phones=spans)
    return data, experiment


@pytest.mark.abx
def test_the_command(made: tuple[Path, Experiment]) -> None:
    """A word's units without their order tell phones apart worse; runs are units."""
    data, experiment = made
    code, out, err = run("evaluate-units", "--abx", data, experiment.path)
    assert code == 0, err
    found = json.loads((experiment.path / "unit_eval/data/scores.json").read_text())["abx"]
    assert set(found) == {"raw", "dedup", "word"}
    assert found["raw"] == found["dedup"]
    assert found["raw"]["within"] == 0 < found["word"]["within"]
    assert "### ABX" in out and "| across speakers (%) |" in out


@pytest.mark.abx
def test_groups_of_fewer_utterances_ended_in_a_key_error(made: tuple[Path, Experiment]) -> None:
    data, experiment = made
    units = dict(Units.open(experiment, "data"))
    groups = {utt_id: np.ones_like(own) for utt_id, own in units.items() if utt_id != "s-0"}
    write_vectors(experiment.segments("fewer") / "data", "groups", groups, "c0de")
    code, _, err = run("evaluate-units", "--abx", data, experiment.path)
    assert code == 0, err
    found = json.loads((experiment.path / "unit_eval/data/scores.json").read_text())["abx"]
    assert found["fewer"]["triphones"] == found["raw"]["triphones"] - len(WORDS[0]) + 2


@pytest.mark.parametrize(
    ("gone", "message"),
    [("utt2spk", "utt2spk is not there"), ("align", "no TextGrid in")],
)
def test_phones_and_speakers_have_to_be_known(
    gone: str, message: str, made: tuple[Path, Experiment]
) -> None:
    data, experiment = made
    if gone == "utt2spk":
        (data / "utt2spk").unlink()
    else:
        for path in experiment.alignments("data").iterdir():
            path.unlink()
    code, _, err = run("evaluate-units", "--abx", data, experiment.path)
    assert code == 1 and "data: --abx needs phones and speakers; " in err and message in err
