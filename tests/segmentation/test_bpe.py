"""`entcomp segment --criterion bpe`: byte-pair encoding of units or runs, for a rate."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import run
from fake_experiment import Fake, make_fake, write_vectors
from hypothesis import given, settings
from hypothesis import strategies as st

from entcomp.artifacts.groups import Groups
from entcomp.artifacts.runs import run_starts, starts_of
from entcomp.errors import EntcompError
from entcomp.files import sha256_of
from entcomp.kaldi.ark import iter_vectors
from entcomp.segmentation.criteria.bpe import FIRST_LETTER, learn_pairs
from entcomp.segmentation.rule import Rule, group_one
from entcomp.segmentation.streaming import StreamingGroups

RATE = 15  # Hz
BPE = ("segment", "--criterion", "bpe")


def write_units(fake: Fake, name: str, utterances: int, seed: int) -> None:
    """Units that make up words, with repeats, as those of speech do."""
    words = np.random.default_rng(0).integers(0, 40, (30, 4))
    generator = np.random.default_rng(seed)
    fake.units[name] = {
        f"{name}-{i:05d}": np.repeat(
            found := words[generator.integers(0, 30, 40)].ravel(),
            generator.integers(1, 3, len(found)),
        ).astype(np.int32)
        for i in range(utterances)
    }
    write_vectors(fake.experiment.units(name), "units", fake.units[name], "c0de")


@pytest.fixture
def fake(tmp_path: Path) -> Fake:
    fake = make_fake(tmp_path, {"train": 20, "test": 5}, length=20)
    write_units(fake, "train", 20, seed=1)
    write_units(fake, "test", 5, seed=2)
    return fake


def stored(fake: Fake, tag: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(fake.experiment.threshold(tag).read_text())
    return found


def tree(folder: Path) -> dict[str, bytes]:
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def naive_groups(units: list[int], merges: str, num_units: int) -> list[int]:
    """Every merge in turn, from left to right, on lists of units."""
    tokens = [[unit] for unit in range(num_units)]
    found = [[unit] for unit in units]
    for pair in merges.split(",") if merges else ():
        left, right = (tokens[int(one)] for one in pair.split())
        if left + right not in tokens:
            tokens.append(left + right)
        merged: list[list[int]] = []
        place = 0
        while place < len(found):
            is_pair = found[place : place + 2] == [left, right]
            merged.append(left + right if is_pair else found[place])
            place += 1 + is_pair
        found = merged
    return [len(one) for one in found]


def text(units: list[int]) -> str:
    return "".join(chr(FIRST_LETTER + unit) for unit in units)


def test_the_most_frequent_pair_is_merged_first() -> None:
    """0 1 stands four times, then 2 before it three times, then 3 3 twice; 4 5 only once."""
    utterances = [[2, 0, 1, 3, 3], [2, 0, 1, 4, 5], [2, 0, 1], [0, 1, 3, 3]]
    assert learn_pairs([text(one) for one in utterances], 6) == ["0 1", "2 6", "3 3"]


UTTERANCES = st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=30), min_size=1, max_size=5)


@settings(max_examples=100, deadline=None)
@given(utterances=UTTERANCES)
def test_groups_are_those_of_merging_by_hand(utterances: list[list[int]]) -> None:
    merges = ",".join(learn_pairs([text(one) for one in utterances], 4))
    options = {"of": "units", "num_units": 4, "merges": merges, "merges_sha256": sha256_of(merges)}
    rule = Rule("bpe", options=options)
    for units in utterances:
        found = group_one("a", np.array(units, np.int32), None, rule).tolist()
        assert found == naive_groups(units, merges, 4)


@pytest.mark.parametrize("of", ["units", "runs"])
def test_the_smallest_vocabulary_that_meets_the_rate(fake: Fake, of: str) -> None:
    code, out, err = run(*BPE, "--target-rate", RATE, "--option", f"of={of}", *fake.arguments)
    assert code == 0, err
    tag = "rate15_bpe" if of == "units" else "rate15_bpe_runs"
    told = stored(fake, tag)
    merges = told["options"]["merges"]
    count = merges.count(",") + 1
    assert f"{tag}: bpe, {500 + count} tokens: 500 units and merges of {of}, learnt on train" in out
    assert 14.7 < told["rates"]["train"] <= RATE
    assert f"{math.log2(500 + count) * told['rates']['train']:.0f} bit/s" in out
    fewer = merges.rpartition(",")[0]
    options = {**told["options"], "merges": fewer, "merges_sha256": sha256_of(fewer)}
    units = fake.units["train"]
    groups = [group_one(one, units[one], None, Rule("bpe", options=options)) for one in units]
    frames = sum(len(one) for one in units.values())
    assert sum(map(len, groups)) / (frames * 0.02) > RATE, "one merge less does not do"
    for utt_id, lengths in Groups.open(fake.experiment, "test", tag):
        own = fake.units["test"][utt_id]
        assert lengths.sum() == len(own)
        if of == "runs":
            assert set(starts_of(lengths)) <= set(run_starts(own))


def test_the_rate_is_met_on_the_calibration_set(fake: Fake) -> None:
    options = ["--target-rate", RATE, "--option", "calibration=test"]
    code, out, _ = run(*BPE, *options, *fake.arguments)
    assert code == 0 and "learnt on train, calibrated on test" in out
    assert stored(fake, "rate15_bpe")["rates"]["test"] == pytest.approx(RATE, rel=0.02)
    fake.experiment.calibration().unlink()
    assert "calibrated on train" in run(*BPE, "--target-rate", 16, *fake.arguments)[1]


def test_the_same_bytes_again_learnt_or_found(fake: Fake) -> None:
    arguments = [*BPE, "--target-rate", RATE, *fake.arguments]
    run(*arguments)
    folder = fake.experiment.segments("rate15_bpe")
    before = tree(folder)
    code, out, _ = run(*arguments)
    assert code == 0 and out.count("complete, skipped") == 2 and tree(folder) == before
    shutil.rmtree(folder)
    run(*arguments)
    assert tree(folder) == before


def test_a_damaged_threshold_is_learnt_anew(fake: Fake) -> None:
    arguments = [*BPE, "--target-rate", RATE, *fake.arguments]
    run(*arguments)
    path = fake.experiment.threshold("rate15_bpe")
    before = path.read_bytes()
    told = stored(fake, "rate15_bpe")
    told["options"]["merges"] = told["options"]["merges"].rpartition(",")[0]
    for damage in (json.dumps(told), "{"):
        path.write_text(damage)
        assert run(*arguments)[0] == 0
        assert path.read_bytes() == before
    with pytest.raises(EntcompError, match="its merges are not those that were learnt"):
        Rule.from_json(told)


def test_new_units_are_learnt_from(fake: Fake) -> None:
    arguments = [*BPE, "--target-rate", RATE, *fake.arguments]
    run(*arguments)
    before = stored(fake, "rate15_bpe")["options"]["merges"]
    write_units(fake, "train", 20, seed=3)
    code, out, err = run(*arguments)
    assert code == 0 and "complete, skipped" not in out, err
    assert stored(fake, "rate15_bpe")["options"]["merges"] != before


def test_new_recordings_need_threshold_json_only(fake: Fake) -> None:
    run(*BPE, "--target-rate", RATE, "--option", "of=runs", *fake.arguments)
    rule = Rule.from_json(fake.experiment.segmentation("rate15_bpe_runs").rule)
    folder = fake.experiment.segments("rate15_bpe_runs") / "test"
    for utt_id, lengths in iter_vectors(folder / "groups.scp"):
        found = group_one("new", fake.units["test"][utt_id], None, rule)
        assert found.tolist() == lengths.tolist()


def test_shards_are_the_whole(fake: Fake) -> None:
    run(*BPE, "--target-rate", RATE, *fake.arguments)
    for index in (1, 2):
        run(*BPE, "--target-rate", RATE, *fake.arguments, "--tag", "parts", "--shard", f"{index}/2")
    whole = fake.experiment.segments("rate15_bpe") / "train" / "groups.ark"
    parts = [
        fake.experiment.segments("parts") / "train" / f"groups.{index}of2.ark" for index in (1, 2)
    ]
    assert b"".join(path.read_bytes() for path in parts) == whole.read_bytes()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("", "--criterion bpe needs --target-rate, got none"),
        ("--theta-g 9.7", "--criterion bpe needs --target-rate"),
        ("--target-rate 60", "60 Hz is out of reach: on the calibration set this criterion gives"),
        ("--target-rate 0.5", "0.5 Hz is out of reach"),
        ("--target-rate 10 --option of=words", "--option of=words: units or runs"),
        ("--target-rate 10 --option train=dev", "no set 'dev' has units; name some by --option"),
        ("--target-rate 10 --option calibration=x*", "no set 'x*' has units; name some by"),
    ],
)
def test_mistakes_in_the_call(fake: Fake, options: str, message: str) -> None:
    code, _, err = run(*BPE, *options.split(), *fake.arguments)
    assert code == 1 and message in err and err.count("\n") == 1


def test_it_cannot_stream() -> None:
    with pytest.raises(EntcompError, match="--criterion bpe: cannot stream; available: global"):
        StreamingGroups(Rule("bpe"))
