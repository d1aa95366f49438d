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
from tokenizers import Tokenizer
from tokenizers.models import BPE

from entcomp.artifacts.groups import Groups
from entcomp.artifacts.runs import run_starts, starts_of
from entcomp.errors import EntcompError
from entcomp.files import sha256_of
from entcomp.kaldi.ark import iter_vectors
from entcomp.segmentation.criteria.bpe import FIRST_LETTER, learn_pairs
from entcomp.segmentation.rule import Rule, group_one
from entcomp.segmentation.streaming import StreamingGroups

RATE = 15  # Hz
LEARN = ("segment", "--criterion", "bpe")


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


def groups_of_fewer(units: list[int], merges: list[str], num_units: int) -> list[int]:
    """Lengths of the tokens of Hugging Face's encoding by these merges and no more."""
    tokens = [chr(FIRST_LETTER + unit) for unit in range(num_units)]
    pairs = []
    for merge in merges:
        left, right = (tokens[int(one)] for one in merge.split())
        pairs.append((left, right))
        if left + right not in tokens:
            tokens.append(left + right)
    tokenizer = Tokenizer(BPE({token: number for number, token in enumerate(tokens)}, pairs))
    return [len(token) for token in tokenizer.encode(text(units)).tokens]


def text(units: list[int]) -> str:
    return "".join(chr(FIRST_LETTER + unit) for unit in units)


def test_the_most_frequent_pair_is_merged_first() -> None:
    """0 1 stands four times, then 2 before it three times, then 3 3 twice; 4 5 only once."""
    utterances = [[2, 0, 1, 3, 3], [2, 0, 1, 4, 5], [2, 0, 1], [0, 1, 3, 3]]
    assert learn_pairs([text(one) for one in utterances], 6) == ["0 1", "2 6", "3 3"]


UTTERANCES = st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=30), min_size=1, max_size=5)


def rule_of(pairs: list[str], count: int) -> Rule:
    """Of so many merges of four units."""
    merges = ",".join(pairs)
    options = {"of": "units", "num_units": 4, "merges": merges, "merges_sha256": sha256_of(merges)}
    return Rule("bpe", theta_z=count, options=options)


@settings(max_examples=100, deadline=None)
@given(utterances=UTTERANCES)
def test_groups_are_those_of_merging_by_hand(utterances: list[list[int]]) -> None:
    pairs = learn_pairs([text(one) for one in utterances], 4)
    for units in utterances:
        found = group_one("a", np.array(units, np.int32), None, rule_of(pairs, len(pairs)))
        assert found.tolist() == naive_groups(units, ",".join(pairs), 4)


@settings(max_examples=100, deadline=None)
@given(utterances=UTTERANCES)
def test_a_threshold_uses_the_first_merges_and_no_more(utterances: list[list[int]]) -> None:
    pairs = learn_pairs([text(one) for one in utterances], 4)
    for count in range(len(pairs) + 1):
        for units in utterances:
            found = group_one("a", np.array(units, np.int32), None, rule_of(pairs, count))
            assert found.tolist() == groups_of_fewer(units, pairs[:count], 4)


@pytest.mark.parametrize("of", ["units", "runs"])
def test_as_many_merges_as_meet_the_rate(fake: Fake, of: str) -> None:
    code, out, err = run(*LEARN, "--target-rate", RATE, "--option", f"of={of}", *fake.arguments)
    assert code == 0, err
    tag = "rate15_bpe" if of == "units" else "rate15_bpe_runs"
    told = stored(fake, tag)
    count = int(told["theta_z"])
    assert count < told["options"]["merges"].count(",")
    assert f"{tag}: bpe, {500 + count} tokens: 500 units and merges of {of}, learnt on train" in out
    assert f"{math.log2(500 + count) * told['rates']['train']:.0f} bit/s" in out
    frames = sum(map(len, fake.units["train"].values()))

    def rate(merges: int) -> float:
        rule = Rule("bpe", theta_z=merges, options=told["options"])
        groups = [group_one(utt_id, one, None, rule) for utt_id, one in fake.units["train"].items()]
        return sum(map(len, groups)) / (frames * 0.02)

    assert 14.7 < told["rates"]["train"] == pytest.approx(rate(count))
    assert rate(count + 1) <= RATE <= rate(count - 1), "one merge more or less is on the other side"
    for utt_id, lengths in Groups.open(fake.experiment, "test", tag):
        own = fake.units["test"][utt_id]
        assert lengths.sum() == len(own)
        if of == "runs":
            assert set(starts_of(lengths)) <= set(run_starts(own))


@pytest.mark.parametrize("where", ["set", "utterance"])
def test_the_rate_is_met_where_it_is_asked_for(fake: Fake, where: str) -> None:
    """bpe had no threshold: byte pairs for 12.5 Hz came to 11.1 on other speakers."""
    arguments = ["--target-rate", 16, "--match-rate", where, *fake.arguments]
    code, out, err = run(*LEARN, *arguments)
    assert code == 0, err
    tag = f"rate16_bpe_match{where}"
    assert f"merges of units, learnt on train, thresholds by {where}" in out
    assert "up to" in out and "bit/s" not in out
    groups = dict(Groups.open(fake.experiment, "test", tag))
    parts = [groups] if where == "set" else [{utt_id: one} for utt_id, one in groups.items()]
    for part in parts:
        units = sum(len(fake.units["test"][utt_id]) for utt_id in part)
        assert abs(sum(map(len, part.values())) - 16 * 0.02 * units) <= max(1, 0.02 * 16)


def test_merges_are_learnt_once_for_all_rates(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    run(*LEARN, "--target-rate", RATE, *fake.arguments)
    monkeypatch.setattr("entcomp.segmentation.criteria.bpe.learn_pairs", None)
    code, _, err = run(*LEARN, "--target-rate", 18, *fake.arguments)
    assert code == 0, err
    one, other = stored(fake, "rate15_bpe"), stored(fake, "rate18_bpe")
    assert one["options"] == other["options"] and one["theta_z"] > other["theta_z"]


def test_the_rate_is_met_on_the_calibration_set(fake: Fake) -> None:
    options = ["--target-rate", RATE, "--option", "calibration=test"]
    code, out, _ = run(*LEARN, *options, *fake.arguments)
    assert code == 0 and "learnt on train, calibrated on test" in out
    assert stored(fake, "rate15_bpe")["rates"]["test"] == pytest.approx(RATE, rel=0.02)
    fake.experiment.calibration().unlink()
    assert "calibrated on train" in run(*LEARN, "--target-rate", 16, *fake.arguments)[1]


def test_the_same_bytes_again_learnt_or_found(fake: Fake) -> None:
    arguments = [*LEARN, "--target-rate", RATE, *fake.arguments]
    run(*arguments)
    folder = fake.experiment.segments("rate15_bpe")
    before = tree(folder)
    code, out, _ = run(*arguments)
    assert code == 0 and out.count("complete, skipped") == 2 and tree(folder) == before
    shutil.rmtree(folder)
    run(*arguments)
    assert tree(folder) == before


def test_a_damaged_threshold_is_learnt_anew(fake: Fake) -> None:
    arguments = [*LEARN, "--target-rate", RATE, *fake.arguments]
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


def test_units_of_which_no_pair_stands_twice(fake: Fake) -> None:
    """There was a traceback where no score is a number."""
    fake.units["train"] = {"a": np.arange(20, dtype=np.int32)}
    write_vectors(fake.experiment.units("train"), "units", fake.units["train"], "c0de")
    options = ["--target-rate", RATE, "--option", "calibration=train"]
    code, _, err = run(*LEARN, *options, *fake.arguments)
    assert code == 1 and "out of reach" in err and "50.00 to 50.00 Hz" in err


def test_new_units_are_learnt_from(fake: Fake) -> None:
    arguments = [*LEARN, "--target-rate", RATE, *fake.arguments]
    run(*arguments)
    before = stored(fake, "rate15_bpe")["options"]["merges"]
    write_units(fake, "train", 20, seed=3)
    code, out, err = run(*arguments)
    assert code == 0 and "complete, skipped" not in out, err
    assert stored(fake, "rate15_bpe")["options"]["merges"] != before


def test_new_recordings_need_threshold_json_only(fake: Fake) -> None:
    run(*LEARN, "--target-rate", RATE, "--option", "of=runs", *fake.arguments)
    rule = Rule.from_json(fake.experiment.segmentation("rate15_bpe_runs").rule)
    folder = fake.experiment.segments("rate15_bpe_runs") / "test"
    for utt_id, lengths in iter_vectors(folder / "groups.scp"):
        found = group_one("new", fake.units["test"][utt_id], None, rule)
        assert found.tolist() == lengths.tolist()


def test_shards_are_the_whole(fake: Fake) -> None:
    run(*LEARN, "--target-rate", RATE, *fake.arguments)
    for index in (1, 2):
        shard = ("--tag", "parts", "--shard", f"{index}/2")
        run(*LEARN, "--target-rate", RATE, *fake.arguments, *shard)
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
    code, _, err = run(*LEARN, *options.split(), *fake.arguments)
    assert code == 1 and message in err and err.count("\n") == 1


def test_it_cannot_stream() -> None:
    with pytest.raises(EntcompError, match="--criterion bpe: cannot stream; available: global"):
        StreamingGroups(Rule("bpe"))
