from __future__ import annotations

from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from entcomp.artifacts.shard import Shard, merge_shards
from entcomp.artifacts.stage import Stage, read_stage
from entcomp.errors import EntcompError
from entcomp.files import sha256_file
from entcomp.kaldi.ark import ArkWriter, iter_vectors
from entcomp.skipped import SkippedUtterances

IDS = [f"utt{number}" for number in range(7)]


@given(st.integers(1, 12), st.integers(0, 30))
def test_shards_are_contiguous_and_whole(count, total):
    parts = [list(Shard(index, count).take(range(total), total)) for index in range(1, count + 1)]
    assert list(chain(*parts)) == list(range(total))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "a/3", "1/", "-1/3", "", "1/²"])
def test_refuses(text):
    with pytest.raises(EntcompError, match="expected i/N"):
        Shard.parse(text)


def test_names():
    assert Shard.parse("3/8").suffix == ".3of8"
    assert Shard.parse("1/1").suffix == ""


def write_shard(folder: Path, shard: Shard, ids: list[str], inputs: dict, bad: str = "") -> None:
    """What a stage does: ``bad`` is an utterance that it skips."""
    stage = Stage(folder, inputs, f"stage{shard.suffix}")
    stage.start()
    skipped = SkippedUtterances(skip_bad=True)
    with ArkWriter(folder, f"units{shard.suffix}") as ark:
        for utt_id in shard.take(ids, len(ids)):
            if utt_id == bad:
                skipped.add(utt_id, "is bad")
            else:
                ark.write(utt_id, np.full(3, int(utt_id[-1]), np.int32))
    skipped.write(folder / f"skipped{shard.suffix}.txt")
    stage.finish(ark.summary | {"skipped": len(skipped), "rate": shard.index / 2, "unit": "Hz"})


def test_merged_as_one_run_would_have_left_it(tmp_path):
    for index in (1, 2, 3):
        write_shard(tmp_path / "parts", Shard(index, 3), IDS, {"seed": 1}, bad="utt3")
    write_shard(tmp_path / "one", Shard(), IDS, {"seed": 1}, bad="utt3")
    outputs = merge_shards(tmp_path / "parts", "units", 3, IDS)
    parts, one = (list(iter_vectors(tmp_path / name / "units.scp")) for name in ("parts", "one"))
    for (utt_id, vector), (expected_id, expected) in zip(parts, one, strict=True):
        assert utt_id == expected_id
        np.testing.assert_array_equal(vector, expected)
    whole = read_stage(tmp_path / "one")
    assert outputs["sha256"] == sha256_file(tmp_path / "one" / "units.ark")
    assert "rate" not in outputs  # a half of each shard says nothing about the whole
    del whole["outputs"]["rate"]
    assert read_stage(tmp_path / "parts") == whole
    assert (tmp_path / "parts/skipped.txt").read_text() == "utt3 is bad\n"


def test_refuses_a_shard_that_is_not_whole(tmp_path):
    write_shard(tmp_path, Shard(1, 2), IDS, {})
    with pytest.raises(EntcompError, match=r"stage\.2of2\.json: no such file; run this shard"):
        merge_shards(tmp_path, "units", 2, IDS)


def test_refuses_a_shard_of_another_run(tmp_path):
    write_shard(tmp_path, Shard(1, 2), IDS, {"seed": 1})
    write_shard(tmp_path, Shard(2, 2), IDS, {"seed": 2})
    with pytest.raises(EntcompError, match=r"stage\.2of2\.json: inputs or options differ"):
        merge_shards(tmp_path, "units", 2, IDS)
    assert not (tmp_path / "units.scp").exists()


@pytest.mark.parametrize(
    ("upstream", "message"),
    [
        ([*IDS, "utt9"], "utt9 is in no shard"),
        (IDS[1:], "utt0 instead of utt1"),
        (IDS[:-1], "utt6 instead of the end"),
    ],
)
def test_refuses_lost_and_unknown_utterances(tmp_path, upstream, message):
    for index in (1, 2):
        write_shard(tmp_path, Shard(index, 2), IDS, {})
    with pytest.raises(EntcompError, match=message):
        merge_shards(tmp_path, "units", 2, upstream)
    assert not (tmp_path / "units.scp").exists()
    assert not (tmp_path / "stage.json").exists()
