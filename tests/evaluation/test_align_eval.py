"""`entcomp align-eval`: groups against TextGrids, chance at the same rate, and what goes wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import run
from fake_alignment import equal_spans, make_aligned, write_grid
from fake_experiment import Fake, write_vectors
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from entcomp.artifacts.experiment import Experiment, UnitsInfo
from entcomp.artifacts.ticks import to_ticks
from entcomp.errors import EntcompError
from entcomp.evaluation.boundaries.evaluate import Matching, evaluate
from entcomp.evaluation.boundaries.references import References
from entcomp.files import write_json
from entcomp.formats.textgrid import TierChoice, parse_silences
from entcomp.segmentation.chance import chance_groups

INFO = UnitsInfo("imported", 0, 100, 16000, 320, 0, "c0de")


@pytest.fixture
def fake(tmp_path: Path) -> Fake:
    """Segmentations ``phones``, groups of five frames, and ``words``, of ten, are exact."""
    fake = make_aligned(tmp_path)
    for tag, window in (("phones", 5), ("words", 10)):
        vectors = {u: fixed(len(units), window) for u, units in fake.units["test"].items()}
        write_vectors(fake.experiment.segments(tag) / "test", "groups", vectors, "c0de")
    return fake


def fixed(frames: int, window: int) -> np.ndarray:
    edges = np.append(np.arange(0, frames, window), frames)
    return np.diff(edges).astype(np.int32)


def result(fake: Fake, tag: str) -> dict[str, Any]:
    return json.loads((fake.experiment.alignment_scores(tag) / "test.json").read_text())


def test_exact_segmentations(fake: Fake) -> None:
    code, out, err = run("align-eval", *fake.arguments)
    assert code == 0, err
    phones, words = result(fake, "phones"), result(fake, "words")
    for found, tier in ((phones, "phones"), (words, "words")):
        own = found["tiers"][tier]["segmentation"]
        assert (own["f1"], own["r_value"], own["mean_absolute_deviation_ms"]) == (1, 1, 0)
        assert own["interval"]["f1"] == [1, 1]
        assert found["tiers"][tier]["random"]["f1"] < 0.9
    half = phones["tiers"]["words"]["segmentation"]  # every other boundary is a word's
    assert half["recall"] == 1
    assert half["precision"] == pytest.approx(0.5, abs=0.02)
    assert words["tiers"]["phones"]["segmentation"]["precision"] == 1
    units = sum(len(one) for one in fake.units["test"].values())
    groups = sum(len(fixed(len(one), 5)) for one in fake.units["test"].values())
    assert phones["rate"] == pytest.approx(groups / units / 0.02)
    assert phones["mean_span_ms"] == pytest.approx(1000 * units * 0.02 / groups)
    assert (phones["utterances"], phones["missing"], phones["criterion"]) == (6, [], "phones")
    page = (fake.experiment.path / "align_eval" / "test.md").read_text()
    assert page in out
    for cell in ("| dedup ", "| phones ", "| words ", " uniform |", " random |", "100.0"):
        assert cell in page


def test_dedup_row_is_that_of_the_units(fake: Fake) -> None:
    assert run("align-eval", "--segmentation", "words", *fake.arguments)[0] == 0
    runs = sum(1 + np.count_nonzero(np.diff(one)) for one in fake.units["test"].values())
    units = sum(len(one) for one in fake.units["test"].values())
    found = result(fake, "dedup")
    assert found["rate"] == pytest.approx(runs / units / 0.02)
    assert found["criterion"] == "dedup"
    assert not fake.experiment.alignment_scores("phones").exists()


def test_the_page_had_the_tags_of_the_last_call_alone(fake: Fake) -> None:
    page = fake.experiment.path / "align_eval" / "test.md"
    assert run("align-eval", "--segmentation", "words", *fake.arguments)[0] == 0
    assert run("align-eval", "--segmentation", "phones", "--lenient", *fake.arguments)[0] == 0
    lenient, strict = page.read_text().split("one-to-one")
    assert lenient.count("\n| dedup ") == lenient.count("\n| phones ") == 4
    assert strict.count("\n| words ") == 4 and "| phones " not in strict


def test_same_bytes_again(fake: Fake) -> None:
    trees = []
    for _ in range(2):
        assert run("align-eval", *fake.arguments)[0] == 0
        files = sorted((fake.experiment.path / "align_eval").rglob("*.*"))
        trees.append([path.read_bytes() for path in files])
    assert len(trees[0]) == 4 and trees[0] == trees[1]


def test_shift_tolerance_and_lenience(fake: Fake) -> None:
    def f1(*options: object) -> float:
        assert run("align-eval", *options, *fake.arguments)[0] == 0
        return result(fake, "phones")["tiers"]["phones"]["segmentation"]["f1"]

    assert f1("--shift", 0.02) == f1("--shift", -0.02) == 1  # just within 20 ms
    assert f1("--shift", 0.021) == 0
    assert f1("--shift", 0.021, "--tolerance", 0.03) == 1
    deviation = result(fake, "phones")["tiers"]["phones"]["segmentation"]
    assert deviation["mean_signed_deviation_ms"] == pytest.approx(21)
    run("align-eval", "--tolerance", 0.1, *fake.arguments)
    strict = result(fake, "phones")["tiers"]["words"]["segmentation"]["precision"]
    run("align-eval", "--tolerance", 0.1, "--lenient", *fake.arguments)
    lenient = result(fake, "phones")["tiers"]["words"]["segmentation"]["precision"]
    assert strict < 0.6 and lenient > 0.97


def test_receptive_offset_counts(fake: Fake) -> None:
    info = UnitsInfo("imported", 0, 500, 16000, 320, 160, "c0de")
    info.write(fake.experiment.units_json)
    assert run("align-eval", *fake.arguments)[0] == 0
    own = result(fake, "phones")["tiers"]["phones"]["segmentation"]
    assert own["mean_signed_deviation_ms"] == pytest.approx(10)


def test_other_folder_with_speakers_and_other_tiers(fake: Fake, tmp_path: Path) -> None:
    utt_ids = sorted(fake.units["test"])[:2]
    for utt_id in utt_ids:
        duration = len(fake.units["test"][utt_id]) * 0.02
        path = tmp_path / "mfa" / "spk" / f"{utt_id}.TextGrid"
        write_grid(path, duration, syllables=equal_spans(duration, 0.1, "x"))
    options = ["--alignments", tmp_path / "mfa", "--tiers", "syllables", "--output", tmp_path / "o"]
    code, _, err = run("align-eval", *options, *fake.arguments)
    assert code == 0, err
    found = json.loads((tmp_path / "o" / "phones" / "test.json").read_text())
    assert found["tiers"]["syllables"]["segmentation"]["recall"] == 1
    assert (found["utterances"], len(found["missing"])) == (2, 4)


def rewrite(fake: Fake, number: int, change: Callable[[str], str]) -> str:
    """Edit one of the TextGrids; returns whose it is."""
    utt_id = sorted(fake.units["test"])[number]
    path = fake.experiment.alignments("test") / f"{utt_id}.TextGrid"
    text = path.read_text()
    assert change(text) != text
    path.write_text(change(text))
    return utt_id


BREAKS: dict[str, Callable[[str], str]] = {
    "not a TextGrid": lambda text: "hello",
    "breaks off": lambda text: text[: len(text) // 2],
    "no tier 'phones'": lambda text: text.replace('"phones"', '"fones"'),
    "lasts 99.00 s": lambda text: re.sub(r"^xmax = .*$", "xmax = 99", text, flags=re.M),
}


@pytest.mark.parametrize("reason", BREAKS)
def test_one_bad_textgrid_among_many(fake: Fake, reason: str) -> None:
    utt_id = rewrite(fake, 1, BREAKS[reason])
    code, _, err = run("align-eval", *fake.arguments)
    assert code == 1 and f"{utt_id}.TextGrid: " in err and reason in err
    assert "fix it or pass --skip-bad" in err
    code, out, err = run("align-eval", "--skip-bad", *fake.arguments)
    assert code == 0, err
    assert f"test: 1 utterance is left out: {utt_id} (" in out and reason in out
    found = result(fake, "phones")
    assert list(found["skipped"]) == [utt_id] and found["utterances"] == 5
    assert found["tiers"]["phones"]["segmentation"]["f1"] == 1


def test_nothing_but_bad_textgrids(fake: Fake) -> None:
    for number in range(6):
        rewrite(fake, number, BREAKS["breaks off"])
    code, _, err = run("align-eval", "--skip-bad", *fake.arguments)
    assert code == 1 and "none of 6 TextGrids can be used; the first: " in err


@pytest.mark.parametrize(("frames", "listed"), [(-6, "bad"), (-4, True), (-2, False), (0, False)])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_textgrid_longer_or_shorter_than_its_units(
    fake: Fake, frames: int, listed: bool | str, sign: int
) -> None:
    """It was scored, and recall fell."""
    utt_id, units = sorted(fake.units["test"].items())[0]
    end = (len(units) + sign * frames) * 0.02
    path = fake.experiment.alignments("test") / f"{utt_id}.TextGrid"
    spans = equal_spans(end, 0.1, "a")
    write_grid(path, end, words=spans, phones=spans)
    code, out, err = run("align-eval", *fake.arguments)
    assert code == (1 if listed == "bad" else 0)
    note = f"{len(units) * 0.02:.2f} s, TextGrid {end:.2f} s"
    if listed == "bad":
        assert f"{utt_id}.TextGrid: lasts {end:.2f} s, the units {len(units) * 0.02:.2f} s" in err
        assert run("align-eval", "--max-difference", 0.13, *fake.arguments)[0] == 0
        assert result(fake, "phones")["durations"] == {utt_id: note}
    else:
        assert result(fake, "phones")["durations"] == ({utt_id: note} if listed else {})
        assert (f"by more than two frames: {utt_id} ({note})" in out) is bool(listed)


def test_frames_longer_than_the_limit_are_allowed(fake: Fake) -> None:
    """Two frames of 80 ms are more than 0.1 s."""
    UnitsInfo("imported", 0, 500, 16000, 1280, 0, "c0de").write(fake.experiment.units_json)
    for utt_id, units in fake.units["test"].items():
        end = (len(units) + 2) * 0.08 - 1e-6
        path = fake.experiment.alignments("test") / f"{utt_id}.TextGrid"
        write_grid(path, end, words=equal_spans(end, 0.4, "a"), phones=equal_spans(end, 0.4, "a"))
    code, _, err = run("align-eval", *fake.arguments)
    assert code == 0, err
    assert result(fake, "phones")["durations"] == {}


def test_intervals_that_cannot_be_are_listed(fake: Fake) -> None:
    def twice(text: str) -> str:
        return text.replace("xmin = 0.2 ", "xmin = 0.1 ", 1)

    utt_id = rewrite(fake, 0, twice)
    code, out, err = run("align-eval", *fake.arguments)
    assert code == 0, err
    reason = "words: 0.1 to 0.4 s 'word' overlaps the interval before it"
    assert f"1 utterance has intervals that cannot be counted: {utt_id} ({reason})" in out
    assert result(fake, "phones")["passed_over"] == {utt_id: reason}


def test_lower_case_textgrids_are_found(fake: Fake) -> None:
    for path in fake.experiment.alignments("test").glob("*.TextGrid"):
        path.rename(path.with_suffix(".textgrid"))
    code, _, err = run("align-eval", *fake.arguments)
    assert code == 0, err
    assert result(fake, "phones")["missing"] == []


def test_textgrids_of_other_names_are_said(fake: Fake) -> None:
    folder = fake.experiment.alignments("test")
    for path in folder.glob("*.TextGrid"):
        path.rename(path.with_stem(f"x-{path.stem}"))
    code, out, err = run("align-eval", *fake.arguments)
    assert code == 1 and "no set has groups and TextGrids" in err
    assert f"none of the 6 TextGrids in {folder} has the name of an utterance (the first" in out


WORDS = {
    "anna - words": [(0.2, 0.6, "hello"), (0.6, 1.0, "big"), (1.0, 1.4, "world")],
    "ben - words": [(1.4, 1.6, "yes"), (1.6, 1.8, "sir")],
}


@pytest.mark.parametrize(
    ("names", "options", "edges"),
    [
        (["anna - words", "ben - words"], [], 6),
        (["ben - words", "anna - words"], [], 6),
        (["ben - words", "anna - words"], ["--speaker", "anna"], 4),
        (["anna - words", "ben - words"], ["--speaker", "ben"], 3),
    ],
)
def test_boundaries_of_all_speakers_count(
    tmp_path: Path, names: list[str], options: list[str], edges: int
) -> None:
    """Those of the first tier alone did: precision 4/9 or 3/9 by the order of tiers, not 6/9."""
    experiment = Experiment(tmp_path / "exp")
    UnitsInfo("imported", 0, 500, 16000, 320, 0, "c0de").write(experiment.units_json)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "text").write_text("u x\n")
    groups = {"u": np.full(10, 10, np.int32)}
    write_vectors(experiment.segments("ten") / "data", "groups", groups, "c0de")
    write_grid(tmp_path / "tg" / "u.TextGrid", 2.0, **{name: WORDS[name] for name in names})
    arguments = ["--tiers", "words", "--alignments", tmp_path / "tg", *options]
    code, _, err = run("align-eval", *arguments, tmp_path / "data", experiment.path)
    assert code == 0, err
    found = json.loads((experiment.alignment_scores("ten") / "data.json").read_text())
    words = found["tiers"]["words"]["segmentation"]
    assert words["precision"] == pytest.approx(edges / 9, abs=1e-6)
    assert words["recall"] == 1


@pytest.mark.parametrize(("silences", "edges"), [(None, 6), ("silence,sp", 4), ("", 6)])
def test_a_word_that_means_silence_has_boundaries(
    tmp_path: Path, silences: str | None, edges: int
) -> None:
    folder = tmp_path / "tg"
    words = [(0.2, 0.6, "keep"), (0.8, 1.2, "silence"), (1.4, 1.8, "please")]
    write_grid(folder / "u.TextGrid", 2.0, words=words)
    references = References(folder, ("words",), TierChoice(silences=parse_silences(silences)))
    assert len(references["u"].boundaries["words"]) == edges


def test_missing_textgrids_are_counted_and_said(fake: Fake) -> None:
    utt_id = sorted(fake.units["test"])[2]
    (fake.experiment.alignments("test") / f"{utt_id}.TextGrid").unlink()
    code, out, _ = run("align-eval", *fake.arguments)
    assert code == 0
    assert result(fake, "phones")["missing"] == [utt_id]
    assert f"test: 1 utterance has no TextGrid: {utt_id}" in out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--tiers", "words,syllables"],
            ".TextGrid: no tier 'syllables'; available: words, phones",
        ),
        (
            ["--segmentation", "nope"],
            "segments/nope: no such segmentation; available: raw, dedup, phones",
        ),
        (["--alignments", "nowhere"], "no set has groups and TextGrids; run segment and align"),
        (["--sets", "nope"], "no set 'nope'; available: test"),
    ],
)
def test_mistakes(fake: Fake, options: list[str], message: str) -> None:
    code, _, err = run("align-eval", *options, *fake.arguments)
    assert code == 1 and message in err
    assert not (fake.experiment.path / "align_eval").exists()


def test_groups_of_another_codebook(fake: Fake) -> None:
    path = fake.experiment.segments("phones") / "threshold.json"
    write_json(path, {"criterion": "global", "codebook_sha256": "other"})
    code, _, err = run("align-eval", *fake.arguments)
    assert (
        code == 1
        and "segments/phones/threshold.json: made with another codebook; rerun segment" in err
    )


def test_criterion_comes_with_the_scores(fake: Fake) -> None:
    path = fake.experiment.segments("phones") / "threshold.json"
    write_json(path, {"criterion": "bidirectional", "peaks": True, "codebook_sha256": "c0de"})
    assert run("align-eval", *fake.arguments)[0] == 0
    assert result(fake, "phones")["criterion"] == "bidirectional peaks"


def test_sets_that_nobody_aligned_are_said_and_left_out(fake: Fake) -> None:
    other = fake.data / "train"
    other.mkdir()
    (other / "text").write_text("t x\n")
    write_vectors(fake.experiment.units("train"), "units", {"t": np.arange(9, dtype=np.int32)}, "")
    code, out, err = run("align-eval", "--segmentation", "phones", *fake.arguments)
    assert code == 0, err
    folder = fake.experiment.alignments("train")
    assert f"train: no TextGrid in {folder}; not scored\n" in out
    assert result(fake, "phones")["utterances"] == 6


def test_a_name_twice_is_no_reference(tmp_path: Path) -> None:
    for speaker in ("a", "b"):
        write_grid(tmp_path / speaker / "u.TextGrid", 1.0, words=[(0.0, 0.5, "x")])
    with pytest.raises(EntcompError, match=r"b/u\.TextGrid: also at .*a/u\.TextGrid; keep one"):
        References(tmp_path, ("words",))


def test_a_tier_without_boundaries(tmp_path: Path) -> None:
    write_grid(tmp_path / "u.TextGrid", 1.0, words=[(0.0, 1.0, "x")])
    references = References(tmp_path, ("words",))
    groups = [("u", np.array([25, 25], np.int32))]
    with pytest.raises(EntcompError, match="tier 'words' has no boundary in any utterance"):
        evaluate(groups, references, INFO, Matching(to_ticks(0.02)), {})


def test_chance_has_as_many_groups(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    makes = chance_groups(seed=0)
    for number in range(200):
        own = generator.integers(1, 12, generator.integers(1, 40))
        for name, draws in (("uniform", 1), ("random", 5)):
            made = makes[name](f"utt{number}", own)
            assert len(made) == draws
            assert {len(one) for one in made} == {len(own)}
            assert {int(one.sum()) for one in made} == {int(own.sum())}
            assert min(one.min() for one in made) >= 1
        assert np.ptp(makes["uniform"]("u", own)[0]) <= 1


def test_chance_on_real_grids(prompt_data: Path, prompt_grids: Path, tmp_path: Path) -> None:
    """Equal groups as the segmentation and as chance, against a count that shares no code."""
    rows = (line.split() for line in (prompt_data / "units.txt").read_text().splitlines())
    groups = {row[0]: equal_groups(len(row) - 1, 0.36) for row in rows}  # of 24 ms: 15 Hz
    exp = tmp_path / "exp"
    info = UnitsInfo("moonshine", 3, 500, 16000, 384, 256, "c0de")
    info.write(exp / "units" / "units.json")
    units = {utt_id: np.zeros(int(one.sum()), np.int32) for utt_id, one in groups.items()}
    write_vectors(exp / "units" / "prompts", "units", units, "c0de")
    write_vectors(exp / "segments" / "uniform15" / "prompts", "groups", groups, "c0de")
    code, _, err = run("align-eval", "--alignments", prompt_grids, prompt_data, exp)
    assert code == 0, err
    found = json.loads((exp / "align_eval" / "uniform15" / "prompts.json").read_text())
    assert found["utterances"] == 60 and found["rate"] == pytest.approx(15, abs=0.2)
    phones = found["tiers"]["phones"]
    assert phones["uniform"] == phones["segmentation"]
    generator = np.random.default_rng(0)
    counts = {"uniform": np.zeros(3), "random": np.zeros(3)}
    for utt_id, one in groups.items():
        ref = phone_boundaries(prompt_grids / f"{utt_id}.TextGrid")
        frames, number = int(one.sum()), len(one) - 1
        counts["uniform"] += count(np.cumsum(one)[:-1], ref)
        drawn = (generator.choice(np.arange(1, frames), number, replace=False) for _ in range(20))
        counts["random"] += np.mean([count(starts, ref) for starts in drawn], axis=0)
    for name, tolerance in (("uniform", 0.005), ("random", 0.01)):
        scores = (phones[name]["f1"], phones[name]["r_value"])
        assert scores == pytest.approx(f1_and_r_value(*counts[name]), abs=tolerance), name
    assert phones["random"]["f1"] < phones["uniform"]["f1"] - 0.05


def count(starts: np.ndarray, ref: np.ndarray) -> np.ndarray:
    """Hits, boundaries of groups that start at these frames of 24 ms, and references."""
    hyp = 0.016 + 0.024 * starts
    near = np.abs(hyp[:, None] - ref) < 0.02 + 1e-6
    hits = int((maximum_bipartite_matching(csr_array(near)) >= 0).sum())
    return np.array([hits, len(hyp), len(ref)])


def f1_and_r_value(hits: float, hyps: float, refs: float) -> tuple[float, float]:
    recall, over = hits / refs, hyps / refs - 1
    distances = np.hypot(1 - recall, over) + abs(recall - 1 - over) / np.sqrt(2)
    return 2 * hits / (hyps + refs), 1 - distances / 2


def equal_groups(frames: int, rate: float) -> np.ndarray:
    some = np.append(np.ones(round(frames * rate) - 1, int), 0)
    some[-1] = frames - some.sum()
    return chance_groups(0)["uniform"]("", some)[0].astype(np.int32)


def phone_boundaries(path: Path) -> np.ndarray:
    """Starts and ends of what is no silence, without the ends of the recording (seconds)."""
    tier = path.read_text().split('name = "phones"')[1]
    found = re.findall(r'xmin = (\S+)\s+xmax = (\S+)\s+text = "(.*)"', tier)
    spoken = [(float(start), float(end)) for start, end, text in found if text]
    times = {edge for span in spoken for edge in span}
    return np.array(sorted(times - {0.0, float(found[-1][1])}))


def test_a_flipped_bit_in_groups_asked_for_43_gigabytes(fake: Fake) -> None:
    """The sign, and bits of a size, of an element and of a declared length."""
    ark = fake.experiment.segments("phones") / "test" / "groups.ark"
    sound = ark.read_bytes()
    first = sound.index(b"\0B") + 2  # the size of the length, its four bytes, then elements
    for byte, bit in ((0, 6), (4, 7), (4, 5), (1, 3), (5, 2), (6, 0), (9, 7), (9, 6), (8, 5)):
        damaged = bytearray(sound)
        damaged[first + byte] ^= 1 << bit
        ark.write_bytes(damaged)
        code, _, err = run("align-eval", *fake.arguments)
        assert code == 1 and err.count("entcomp: error: ") == 1, err
        assert "groups" in err.splitlines()[-1] and "Traceback" not in err, err


def test_runs_of_equal_units_can_be_named(fake: Fake, tmp_path: Path) -> None:
    """They were refused by a message that offered them."""
    for name in ("dedup", "raw"):
        asked = ("align-eval", "--segmentation", name, "-o", tmp_path, *fake.arguments)
        assert run(*asked)[0] == 0
        assert (tmp_path / name / "test.json").exists()
