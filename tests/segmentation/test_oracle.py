"""`entcomp segment --criterion oracle`: groups from TextGrids."""

from __future__ import annotations

import json
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
from command_line import run
from fake_alignment import make_aligned, write_grid
from fake_experiment import Fake

from entcomp.artifacts.groups import Groups
from entcomp.errors import EntcompError
from entcomp.segmentation.calibration import resolve
from entcomp.segmentation.request import Request
from entcomp.segmentation.rule import group_one
from entcomp.segmentation.streaming import StreamingGroups

ORACLE = ("segment", "--criterion", "oracle")


@pytest.fixture
def fake(tmp_path: Path) -> Fake:
    """Phones of five frames, words of ten."""
    return make_aligned(tmp_path)


def groups(fake: Fake, tag: str) -> dict[str, np.ndarray]:
    return dict(Groups.open(fake.experiment, "test", tag))


def test_groups_are_phones_or_words(fake: Fake) -> None:
    for tier, length in (("phones", 5), ("words", 10)):
        code, out, err = run(*ORACLE, *fake.arguments, "--option", f"tier={tier}")
        assert code == 0, err
        assert out.startswith(f"oracle_{tier}: oracle\ntest: ")
        for utt_id, lengths in groups(fake, f"oracle_{tier}").items():
            frames = len(fake.units["test"][utt_id])
            assert lengths.sum() == frames
            assert lengths[:-1].tolist() == [length] * (len(lengths) - 1)
    assert run(*ORACLE, *fake.arguments)[1].count("complete, skipped") == 1, "phones by default"


def test_nothing_scores_better(fake: Fake) -> None:
    assert run(*ORACLE, *fake.arguments)[0] == 0
    assert run("align-eval", *fake.arguments, "--tiers", "phones")[0] == 0
    path = fake.experiment.alignment_scores("oracle_phones") / "test.json"
    scores = json.loads(path.read_text())
    assert scores["criterion"] == "oracle"
    assert scores["tiers"]["phones"]["segmentation"]["f1"] == pytest.approx(1)
    assert scores["tiers"]["phones"]["segmentation"]["r_value"] == pytest.approx(1)


def test_textgrids_of_another_folder_or_a_tar_file(fake: Fake, tmp_path: Path) -> None:
    run(*ORACLE, *fake.arguments)
    before = {utt_id: one.tolist() for utt_id, one in groups(fake, "oracle_phones").items()}
    shutil.move(fake.experiment.alignments("test"), tmp_path / "grids")
    with tarfile.open(tmp_path / "grids.tar", "w") as archive:
        archive.add(tmp_path / "grids", "grids")
    for place in ("grids", "grids.tar"):
        code, _, err = run(*ORACLE, *fake.arguments, "--option", f"alignments={tmp_path / place}")
        assert code == 0, err
        found = {utt_id: one.tolist() for utt_id, one in groups(fake, "oracle_phones").items()}
        assert found == before
    code, _, err = run(*ORACLE, *fake.arguments)
    assert code == 1 and "align/test: no TextGrids; run align, or give --option alignments" in err


def test_a_new_alignment_is_noticed(fake: Fake) -> None:
    run(*ORACLE, *fake.arguments)
    utt_id = next(iter(fake.units["test"]))
    path = fake.experiment.alignments("test") / f"{utt_id}.TextGrid"
    seconds = len(fake.units["test"][utt_id]) * 0.02
    write_grid(path, seconds, phones=[(0.0, 0.1, "AH"), (0.1, seconds, "sil")])
    code, out, _ = run(*ORACLE, *fake.arguments)
    assert code == 0 and "complete, skipped" not in out
    assert len(groups(fake, "oracle_phones")[utt_id]) == 2, "silences are groups of their own"


def test_gaps_stand_in_the_tag(fake: Fake) -> None:
    code, _, err = run(*ORACLE, *fake.arguments, "--option", "alignments")
    assert code == 1 and "--option alignments: expected NAME=VALUE" in err
    code, out, _ = run(*ORACLE, *fake.arguments, "--option", "gaps=before")
    assert code == 0 and out.startswith("oracle_phones_gapsbefore: ")
    code, _, err = run(*ORACLE, *fake.arguments, "--option", "gaps=beside")
    assert code == 1 and "gaps beside: one of own, before, after" in err


def test_an_utterance_without_textgrid(fake: Fake) -> None:
    utt_id = next(iter(fake.units["test"]))
    (fake.experiment.alignments("test") / f"{utt_id}.TextGrid").unlink()
    code, _, err = run(*ORACLE, *fake.arguments)
    assert code == 1 and f"nothing of it there (utterance {utt_id})" in err
    code, out, _ = run(*ORACLE, *fake.arguments, "--skip-bad")
    assert (
        code == 0 and "1 utterances skipped" in out and utt_id not in groups(fake, "oracle_phones")
    )


def test_a_textgrid_of_another_recording(fake: Fake) -> None:
    utt_id = next(iter(fake.units["test"]))
    path = fake.experiment.alignments("test") / f"{utt_id}.TextGrid"
    write_grid(path, 9.0, phones=[(0.0, 0.1, "AH")])
    code, _, err = run(*ORACLE, *fake.arguments)
    assert code == 1 and "lasts 9.00 s" in err and "--option max_difference=SECONDS" in err
    assert run(*ORACLE, *fake.arguments, "--option", "max_difference=9")[0] == 0


def test_shards_are_joined(fake: Fake) -> None:
    run(*ORACLE, *fake.arguments)
    before = {utt_id: one.tolist() for utt_id, one in groups(fake, "oracle_phones").items()}
    for index in (1, 2):
        run(*ORACLE, *fake.arguments, "--tag", "parts", "--shard", f"{index}/2")
    arguments = ["--shards", 2, "--tag", "parts"]
    code, _, err = run("merge-shards", "groups", *fake.arguments, *arguments)
    assert code == 0, err
    assert {utt_id: one.tolist() for utt_id, one in groups(fake, "parts").items()} == before


def test_remarks_of_shards_were_not_joined(fake: Fake) -> None:
    folder = fake.experiment.alignments("test")
    for utt_id, units in fake.units["test"].items():
        write_grid(
            folder / f"{utt_id}.TextGrid", len(units) * 0.02 + 0.06, phones=[(0.0, 0.1, "A")]
        )
    for tag, *shard in (("whole",), ("parts", "--shard", "1/2"), ("parts", "--shard", "2/2")):
        assert run(*ORACLE, *fake.arguments, "--tag", tag, *shard)[0] == 0
    assert run("merge-shards", "groups", *fake.arguments, "--shards", 2, "--tag", "parts")[0] == 0
    whole, parts = (fake.experiment.segments(tag) / "test" for tag in ("whole", "parts"))
    assert len((whole / "remarks.txt").read_text().splitlines()) == len(fake.units["test"])
    assert (parts / "remarks.txt").read_text() == (whole / "remarks.txt").read_text()


def test_it_knows_nothing_of_recordings_without_textgrids(fake: Fake) -> None:
    """As `entcomp tokenize` or a stream would meet it."""
    rule = resolve(Request.make("oracle"), fake.experiment, 0.02)
    with pytest.raises(EntcompError, match="its groups come from files of intervals"):
        group_one("a", np.zeros(4, np.int32), None, rule)
    with pytest.raises(EntcompError, match="--criterion oracle: cannot stream"):
        StreamingGroups(rule)
