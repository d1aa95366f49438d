"""`segment --criterion learnt`: a boundary predictor trained with a recogniser, without torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command_line import run
from fake_experiment import Fake, make_fake
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_predictor import add_predictor, toy_options, toy_predictor

from entcomp import StreamingTokenizer
from entcomp.errors import EntcompError
from entcomp.files import read_json, write_json
from entcomp.kaldi.ark import iter_vectors
from entcomp.pipelines.tokenizer import Grouper
from entcomp.segmentation import BOUNDARIES
from entcomp.segmentation.rule import Rule, group_one
from entcomp.segmentation.streaming import StreamingGroups

RATE = 12.5  # Hz
LEARNT = ("segment", "--criterion", "learnt", "--target-rate", RATE)


@pytest.fixture
def fake(tmp_path: Path) -> Fake:
    fake = make_fake(tmp_path, {"dev": 12, "test": 8})
    add_predictor(fake.experiment, "learnt12.5", seed=0)
    return fake


def stored(fake: Fake, tag: str = "rate12.5_learnt") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(fake.experiment.threshold(tag).read_text())
    return found


@given(st.lists(st.integers(0, 9), min_size=2, max_size=60), st.data())
def test_only_units_before_it_decide_on_one(units: list[int], data: st.DataObject) -> None:
    predictor = toy_predictor(10)
    cut = data.draw(st.integers(1, len(units) - 1))
    first, values = np.array([0]), np.array(units)
    found = predictor.probabilities(values, first)
    assert (predictor.probabilities(values[:cut], first) == found[:cut]).all()
    begin = max(0, cut - predictor.lookback)
    again = predictor.probabilities(values[begin:], first)
    assert (again[cut - begin :] == found[cut:]).all()


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=80),
    st.sampled_from(BOUNDARIES),
    st.integers(1, 3),
    st.none() | st.integers(3, 9),
    st.integers(1, 30),
)
def test_a_stream_has_the_groups_of_offline(units, boundary, shortest, longest, step) -> None:
    rule = Rule(
        "learnt",
        theta_z=0.5,
        boundary=boundary,
        min_length=shortest,
        max_length=longest,
        options=toy_options(10),
    )
    stream, found = StreamingGroups(rule), []
    for begin in range(0, len(units), step):
        found += stream.push(np.array(units[begin : begin + step]))
    expected = group_one("", np.array(units, np.int32), None, rule).tolist()
    assert found + stream.finish() == expected


def test_a_streaming_tokenizer_needs_no_lm(fake: Fake) -> None:
    assert run(*LEARNT, *fake.arguments)[0] == 0
    grouper = Grouper(fake.experiment, fake.experiment.units_info())
    rule = grouper.stored_rule("rate12.5_learnt")
    stream = grouper.stream(rule)
    assert isinstance(stream, StreamingTokenizer) and not fake.experiment.lm().exists()
    units = next(iter(fake.units["test"].values()))
    found = [length for unit in units for length in stream.push([unit])]
    expected, entropies = grouper.group(units, rule)
    assert found + stream.finish() == expected.tolist() and entropies is None
    with pytest.raises(EntcompError, match=r"units outside of 0\.\.499"):
        grouper.stream(rule).push([500])


def test_the_rate_is_met_and_the_weights_travel(fake: Fake) -> None:
    """Without the model, and without a calibration of an LM's entropies."""
    fake.experiment.calibration().unlink()
    code, out, err = run(*LEARNT, *fake.arguments)
    assert code == 0, err
    assert out.startswith("rate12.5_learnt: learnt, predictor of asr/learnt12.5, theta_z = ")
    told = stored(fake)
    assert told["options"]["calibrated_on"] == ["dev"]
    assert told["rates"]["dev"] == pytest.approx(RATE, rel=0.005)
    (fake.experiment.task("asr", "learnt12.5") / "model.safetensors").unlink()
    rule = Rule.from_json(fake.experiment.segmentation("rate12.5_learnt").rule)
    folder = fake.experiment.segments("rate12.5_learnt") / "test"
    for utt_id, lengths in iter_vectors(folder / "groups.scp"):
        found = group_one("new", fake.units["test"][utt_id], None, rule)
        assert found.tolist() == lengths.tolist()


def test_groups_begin_where_the_probability_exceeds_the_threshold(fake: Fake) -> None:
    predictor = add_predictor(fake.experiment, "learnt12.5", seed=1)
    run(*LEARNT, *fake.arguments)
    threshold = stored(fake)["theta_z"]
    groups = dict(iter_vectors(fake.experiment.segments("rate12.5_learnt") / "test" / "groups.scp"))
    for utt_id, units in fake.units["test"].items():
        p = predictor(torch.from_numpy(units), torch.tensor([len(units)])).detach().numpy()
        starts = np.cumsum([0, *groups[utt_id]])[:-1]
        clear = np.abs(p - threshold) > 1e-5
        assert not (set(np.flatnonzero((p > threshold) & clear)) - set(starts.tolist()))
        assert not (set(starts.tolist()) & set(np.flatnonzero((p < threshold) & clear)))


def test_the_calibration_sets(fake: Fake) -> None:
    run(*LEARNT, "--option", "calibration=test", *fake.arguments)
    assert stored(fake)["rates"]["test"] == pytest.approx(RATE, rel=0.005)
    assert stored(fake)["options"]["calibrated_on"] == ["test"]


def test_a_rate_is_matched(fake: Fake) -> None:
    code, out, err = run(*LEARNT, "--match-rate", "utterance", *fake.arguments)
    assert code == 0, err
    assert "8 utterances at" in out
    told = stored(fake, "rate12.5_learnt_matchutterance")
    assert told["rates"]["test"] == pytest.approx(RATE, rel=0.02)


def test_shortest_groups_count_in_the_rate(fake: Fake) -> None:
    run(*LEARNT, "--min-length", 3, *fake.arguments)
    told = stored(fake, "rate12.5_learnt_min3")
    assert told["rates"]["dev"] == pytest.approx(RATE, rel=0.005)
    run(*LEARNT, *fake.arguments)
    assert told["theta_z"] < stored(fake)["theta_z"]


def test_a_new_training_is_noticed(fake: Fake) -> None:
    run(*LEARNT, *fake.arguments)
    before = stored(fake)["options"]["weights_sha256"]
    assert run(*LEARNT, *fake.arguments)[1].count("complete, skipped") == 2
    add_predictor(fake.experiment, "learnt12.5", seed=2)
    assert "complete, skipped" not in run(*LEARNT, *fake.arguments)[1]
    assert stored(fake)["options"]["weights_sha256"] != before


def test_another_model_stands_in_the_tag(fake: Fake) -> None:
    add_predictor(fake.experiment, "other", seed=1)
    run(*LEARNT, "--option", "model=asr/learnt12.5", *fake.arguments)
    run(*LEARNT, "--option", "model=asr/other", *fake.arguments)
    assert fake.experiment.segmentations() == ["rate12.5_learnt", "rate12.5_learnt_asr-other"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--target-rate", 9], "asr/learnt9: no such model; available: asr/learnt12.5, asr/raw"),
        (["--target-rate", 9, "--option", "model=asr/x"], "asr/x: no such model; available:"),
        (["--target-rate", 9, "--option", "model=asr/raw"], "asr/raw: has no boundary predictor"),
        (["--theta-g", 9.7], "--criterion learnt needs --target-rate"),
        (
            ["--target-rate", 60, "--option", "model=asr/learnt12.5"],
            "a rate of 60 Hz is out of reach",
        ),
    ],
)
def test_mistakes_in_the_call(fake: Fake, options: list[Any], message: str) -> None:
    add_predictor(fake.experiment, "raw", seed=0, prefix="local.")
    code, _, err = run("segment", "--criterion", "learnt", *options, *fake.arguments)
    assert code == 1 and message in err and err.count("\n") == 1


def test_weights_of_other_bytes_or_units_are_refused(fake: Fake) -> None:
    path = fake.experiment.task("asr", "learnt12.5") / "training.json"
    write_json(path, {"inputs": {}, "outputs": {"sha256": "0" * 64}})
    assert "not the weights that were trained" in run(*LEARNT, *fake.arguments)[2]
    path.unlink()
    task = path.with_name("task.json")
    write_json(task, read_json(task) | {"codebook_sha256": "other"})
    assert "made with another codebook" in run(*LEARNT, *fake.arguments)[2]
