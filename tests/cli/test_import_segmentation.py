"""`entcomp import-segmentation` as a user calls it."""

from __future__ import annotations

import json
import tarfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from command_line import run
from fake_alignment import make_aligned, write_grid
from fake_experiment import Fake, K, make_fake, write_vectors

from entcomp.artifacts.experiment import UnitsInfo
from entcomp.artifacts.groups import Groups
from entcomp.errors import EntcompError
from entcomp.segmentation.rule import Rule

OFFSET = 144  # samples: HuBERT's 9 ms


@pytest.fixture
def fake(tmp_path: Path) -> Fake:
    """Two utterances of 10 frames of 20 ms, the first of which starts at 9 ms."""
    fake = make_fake(tmp_path, {"dev": 2}, length=10)
    UnitsInfo("imported", 0, K, 16000, 320, OFFSET, "c0de").write(fake.experiment.units_json)
    fake.units["dev"] = {utt_id: np.arange(10, dtype=np.int32) for utt_id in fake.units["dev"]}
    write_vectors(fake.experiment.units("dev"), "units", fake.units["dev"], "c0de")
    return fake


def groups(fake: Fake, tag: str, name: str = "dev") -> dict[str, list[int]]:
    return {one: lengths.tolist() for one, lengths in Groups.open(fake.experiment, name, tag)}


def ctm(fake: Fake, *spans: tuple[float, float], path: str = "other.ctm") -> Path:
    """The same intervals, from start to end, for both utterances."""
    lines = [
        f"{utt_id} 1 {start} {end - start:.6f} {number}\n"
        for utt_id in fake.units["dev"]
        for number, (start, end) in enumerate(spans)
    ]
    (fake.data.parent / path).write_text(";; another tokenizer\n" + "".join(lines))
    return fake.data.parent / path


def imported(fake: Fake, path: Path, *options: object) -> tuple[int, str, str]:
    return run("import-segmentation", path, *fake.arguments, "--tag", "other", *options)


@pytest.mark.parametrize(
    ("gaps", "expected"),
    [("own", [2, 1, 1, 4, 2]), ("before", [4, 6]), ("after", [3, 7])],
)
def test_gaps_are_groups_or_go_to_a_neighbour(fake: Fake, gaps: str, expected: list[int]) -> None:
    """Intervals start at frames 2 and 4 and end at 3 and 8; frame i starts at 9 + 20 i ms."""
    path = ctm(fake, (0.05, 0.07), (0.089, 0.169))
    code, out, err = imported(fake, path, "--gaps", gaps)
    assert code == 0, err
    assert list(groups(fake, "other").values()) == [expected, expected]
    rate = len(expected) / 0.2
    assert f"dev: 20 units in {2 * len(expected)} groups, {rate:.2f} Hz" in out
    stored = json.loads(fake.experiment.threshold("other").read_text())
    assert stored["criterion"] == "imported" and stored["options"]["gaps"] == gaps
    assert stored["rates"] == {"dev": pytest.approx(rate)}


def test_times_go_to_the_nearest_frame_the_later_of_two(fake: Fake) -> None:
    """38.9 ms is nearest to frame 1 (29 ms), 39 ms as near to frame 2 (49 ms)."""
    imported(fake, ctm(fake, (0.0, 0.0389), (0.0389, 0.2)))
    assert next(iter(groups(fake, "other").values())) == [1, 9]
    imported(fake, ctm(fake, (0.0, 0.039), (0.039, 0.2)))
    assert next(iter(groups(fake, "other").values())) == [2, 8]


def test_ones_own_ctm_comes_back_as_the_same_groups(tmp_path: Path) -> None:
    """Written with four decimals, as tokenize writes it, of frames of 24 ms from 15.9 ms on."""
    fake = make_fake(tmp_path, {"dev": 4, "test": 3}, frame_shift_samples=384)
    info = UnitsInfo("imported", 0, K, 16000, 384, 255, "c0de")
    info.write(fake.experiment.units_json)
    assert run("segment", "--target-rate", 15, *fake.arguments)[0] == 0
    lines = []
    for name in ("dev", "test"):
        for utt_id, lengths in Groups.open(fake.experiment, name, "rate15_global"):
            edges = info.receptive_offset + np.cumsum([0, *lengths]) * info.frame_shift
            lines += [
                f"{utt_id} 1 {start:.4f} {end - start:.4f} 1_2\n"
                for start, end in pairwise(edges.tolist())
            ]
    (tmp_path / "ctm").write_text("".join(lines))
    code, out, err = imported(fake, tmp_path / "ctm")
    assert code == 0, err
    assert len(out.splitlines()) == 3, "no remarks"
    for name in ("dev", "test"):
        assert groups(fake, "other", name) == groups(fake, "rate15_global", name)


def test_folders_and_tar_files_are_the_same(tmp_path: Path) -> None:
    fake = make_aligned(tmp_path)
    folder = fake.experiment.alignments("test")
    with tarfile.open(tmp_path / "grids.tar.xz", "w:xz") as archive:
        archive.add(folder, "anywhere/grids")
    found = []
    for path in (folder, tmp_path / "grids.tar.xz"):
        code, out, err = imported(fake, path, "--tier", "phones")
        assert code == 0, err
        found.append(groups(fake, "other", "test"))
    assert found[0] == found[1]
    assert "complete, skipped" in out, "the same intervals are the same segmentation"
    assert {one for lengths in found[0].values() for one in lengths[:-1]} == {5}


def test_it_is_taken_like_any_other_tag(tmp_path: Path) -> None:
    fake = make_aligned(tmp_path)
    assert imported(fake, fake.experiment.alignments("test"), "--tier", "phones")[0] == 0
    for command in ("align-eval", "evaluate-units", "report"):
        code, _, err = run(command, *fake.arguments)
        assert code == 0, err
    scores = json.loads((fake.experiment.alignment_scores("other") / "test.json").read_text())
    assert scores["criterion"] == "imported"
    assert scores["tiers"]["phones"]["segmentation"]["f1"] == pytest.approx(1)
    assert "other" in run("info", fake.experiment.path)[1]


def test_a_changed_file_is_imported_again(fake: Fake) -> None:
    imported(fake, ctm(fake, (0.0, 0.1), (0.1, 0.2)))
    assert "complete, skipped" in imported(fake, ctm(fake, (0.0, 0.1), (0.1, 0.2)))[1]
    code, out, _ = imported(fake, ctm(fake, (0.0, 0.05), (0.05, 0.2)))
    assert code == 0 and "complete, skipped" not in out


def test_one_tier_of_several_has_to_be_named(tmp_path: Path) -> None:
    fake = make_aligned(tmp_path)
    code, _, err = imported(fake, fake.experiment.alignments("test"))
    assert code == 1 and "name one of them: words, phones" in err
    code, _, err = imported(fake, fake.experiment.alignments("test"), "--tier", "syllables")
    assert code == 1 and "no tier 'syllables'; available: words, phones" in err


def test_durations_that_differ_are_listed_and_refused(tmp_path: Path) -> None:
    fake = make_aligned(tmp_path)
    first, second = list(fake.units["test"])[:2]
    folder = fake.experiment.alignments("test")
    for utt_id, more in ((first, 0.06), (second, -0.2)):
        seconds = len(fake.units["test"][utt_id]) * 0.02 + more
        write_grid(folder / f"{utt_id}.TextGrid", seconds, phones=[(0.0, 0.1, "AH")])
    code, _, err = imported(fake, folder, "--tier", "phones")
    assert code == 1 and f"utterance {second}" in err and "raise --max-difference" in err
    assert not (fake.experiment.segments("other") / "test" / "groups.scp").exists()
    code, out, _ = imported(fake, folder, "--tier", "phones", "--max-difference", 0.3)
    assert code == 0
    assert "test: 2 utterances are longer or shorter than their intervals" in out
    listed = (fake.experiment.segments("other") / "test" / "remarks.txt").read_text()
    assert [line.split()[0] for line in listed.splitlines()] == [first, second]


def test_a_ctm_may_end_before_the_silence_but_not_after_the_units(fake: Fake) -> None:
    code, out, _ = imported(fake, ctm(fake, (0.0, 0.05)))
    assert code == 0 and len(out.splitlines()) == 2
    code, _, err = imported(fake, ctm(fake, (0.0, 0.05), (0.05, 0.5)))
    assert code == 1 and "lasts 0.50 s, the units 0.20 s" in err


def test_missing_utterances_are_errors_or_listed(fake: Fake) -> None:
    path = ctm(fake, (0.0, 0.1))
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:2]))
    code, _, err = imported(fake, path)
    assert code == 1 and f"{path}: nothing of it there (utterance dev-00001)" in err
    assert "pass --skip-bad" in err
    code, out, _ = imported(fake, path, "--skip-bad")
    assert code == 0 and "1 utterances skipped" in out
    assert list(groups(fake, "other")) == ["dev-00000"]
    skipped = fake.experiment.segments("other") / "dev" / "skipped.txt"
    assert skipped.read_text().startswith("dev-00001 ")


def test_files_of_another_set_are_refused_even_with_skip_bad(fake: Fake, tmp_path: Path) -> None:
    (tmp_path / "ctm").write_text("anna_1 1 0.0 0.1 a\n")
    code, _, err = imported(fake, tmp_path / "ctm", "--skip-bad")
    assert code == 1 and "nothing of any utterance of dev (the first there is anna_1)" in err


def test_what_is_left_out_is_said(fake: Fake) -> None:
    """Intervals of less than a frame, such as overlap, and of utterances without units."""
    path = ctm(fake, (0.0, 0.1), (0.05, 0.12), (0.12, 0.125), (0.125, 0.2))
    with open(path, "a") as stream:
        stream.write("anna_1 1 0.0 0.1 a\n")
    code, out, _ = imported(fake, path)
    assert code == 0
    assert "dev: 2 utterances have intervals that cannot be" in out
    assert "hold the start of no frame: dev-00000 (1 of 3)" in out
    assert "1 utterance of the files has no units: anna_1" in out
    remarks = (fake.experiment.segments("other") / "dev" / "remarks.txt").read_text()
    assert "overlaps the interval before it; 1 of 3" in remarks


def test_two_unequal_files_of_one_utterance(fake: Fake) -> None:
    one, same = (ctm(fake, (0.0, 0.1), path=name) for name in ("a.ctm", "b.ctm"))
    arguments = [*fake.arguments, "--tag", "other"]
    assert run("import-segmentation", one, same, *arguments)[0] == 0
    other = ctm(fake, (0.0, 0.15), path="b.ctm")
    code, _, err = run("import-segmentation", one, other, *arguments)
    assert code == 1 and "b.ctm: dev-00000: also in" in err and "keep one of them" in err


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("dev-00000 1 0.0 0.1", "2: expected 'utt_id channel start duration label'"),
        ("dev-00000 1 zero 0.1 a", "2: expected 'utt_id channel start duration label'"),
        ("dev-00000 1 nan 0.1 a", "2: expected 'utt_id channel start duration label'"),
        ("dev-00000 2 0.1 0.1 a", "2: dev-00000 in channel 2, and in 1 before"),
    ],
)
def test_lines_that_are_none(fake: Fake, tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "bad.ctm").write_text(f"dev-00000 1 0.0 0.1 a\n{line}\n")
    code, _, err = imported(fake, tmp_path / "bad.ctm")
    assert code == 1 and f"bad.ctm:{message}" in err


def test_paths_that_hold_nothing(fake: Fake, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.tar").write_bytes(b"no tar file")
    (tmp_path / "grid.TextGrid").write_text("no TextGrid")
    for name, message in (
        ("empty", "empty: neither TextGrids nor CTM files with intervals in it"),
        ("broken.tar", "broken.tar: not a tar file"),
        ("nowhere", "nowhere: no such file"),
        ("grid.TextGrid", "nothing of any utterance of dev"),
    ):
        code, _, err = imported(fake, tmp_path / name)
        assert code == 1 and message in err and err.count("\n") == 1
    code, _, err = run(
        *("import-segmentation", ctm(fake, (0.0, 0.1)), *fake.arguments), "--tag", "dedup"
    )
    assert code == 1 and "--tag dedup: means groups that need no segmentation" in err


def test_recordings_cannot_be_grouped_by_it(fake: Fake) -> None:
    imported(fake, ctm(fake, (0.0, 0.1)))
    code, _, err = run("segment", "--criterion", "imported", *fake.arguments)
    assert code == 1 and "run import-segmentation, which takes the files" in err


def test_a_tokenizer_says_that_it_cannot_make_such_groups(fake: Fake) -> None:
    """It has the rule, but not the files: groups made of units alone would be wrong."""
    imported(fake, ctm(fake, (0.0, 0.1)))
    path = fake.experiment.threshold("other")
    with pytest.raises(EntcompError, match="its groups come from files of intervals, not from rec"):
        Rule.from_json(fake.experiment.segmentation("other").rule, path)


def test_silences_of_a_ctm_are_those_of_its_tier(fake: Fake, tmp_path: Path) -> None:
    """SIL is a word, but no phone; so it is a gap, which goes to the phone before it."""
    spans = (("0.009", "0.04", "AH"), ("0.049", "0.06", "SIL"), ("0.109", "0.091", "B"))
    lines = [
        f"{utt_id} 1 {start} {duration} {label}\n"
        for utt_id in fake.units["dev"]
        for start, duration, label in spans
    ]
    (tmp_path / "phones.ctm").write_text("".join(lines))
    for options, expected in (([], [2, 3, 5]), (["--tier", "phones"], [5, 5])):
        code, _, err = imported(fake, tmp_path / "phones.ctm", "--gaps", "before", *options)
        assert code == 0, err
        assert next(iter(groups(fake, "other").values())) == expected
    options = ["--gaps", "before", "--silences", "B,SIL"]
    assert imported(fake, tmp_path / "phones.ctm", *options)[0] == 0
    assert next(iter(groups(fake, "other").values())) == [10]
