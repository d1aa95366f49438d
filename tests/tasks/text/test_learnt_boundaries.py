"""Boundaries that are learnt with a recogniser, and the criterion that makes groups of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command_line import run as run_command
from text_experiment import TextExperiment, toy_experiment

from entcomp.artifacts.groups import Groups
from entcomp.artifacts.units import Units
from entcomp.encoder.packed import PackedTokens, group_tokens
from entcomp.errors import EntcompError
from entcomp.files import read_json
from entcomp.segmentation.criteria.learnt import Predictor
from entcomp.segmentation.rule import Rule, group_one
from entcomp.segmentation.streaming import StreamingGroups
from entcomp.tasks.text.boundaries import BoundaryPredictor, Chunker, ratio_loss
from entcomp.tasks.text.config import BoundariesConfig, TextTaskConfig
from entcomp.tasks.text.model import TextBatch, build_model

RATE = 10  # Hz: in the toy texts, a letter's units and the pause after it
SMALL: dict[str, Any] = {
    "dim": 32,
    "local": {"layers": 1, "heads": 2},
    "encoder": {"layers": 1, "heads": 2, "feed_forward": 32},
    "decoder": {"layers": 1, "heads": 2, "feed_forward": 32},
    "decoding": {"beam": 2, "max_tokens": 10},
    "boundaries": {"target_rate": 12, "dim": 16, "ratio_weight": 0.3},
}
SCHEDULE = {"learning_rate": 3e-3, "warmup_steps": 10, "val_interval": 50}


def run(*arguments: object) -> str:
    code, output, errors = run_command(*arguments)
    assert code == 0, errors
    return output + errors


def refused(*arguments: object) -> str:
    code, _, errors = run_command(*arguments)
    assert code == 1
    return " ".join(errors.split())


@pytest.fixture
def toy(tmp_path: Path) -> TextExperiment:
    return toy_experiment(tmp_path)


def learn(one: TextExperiment, *options: object, max_steps: int = 100) -> str:
    config = one.config(**SMALL, training=SCHEDULE | {"max_steps": max_steps})
    arguments = ("--config", config, "--learn-boundaries", RATE, *options)
    return run("train-asr", *one.arguments, *arguments)


def segment(one: TextExperiment, *options: object) -> str:
    return run("segment", *one.arguments, "--criterion", "learnt", "--target-rate", RATE, *options)


def numpy_of(predictor: BoundaryPredictor) -> Predictor:
    weights = {name: one.detach().numpy() for name, one in predictor.named_parameters()}
    layers = range(len(predictor.convolutions))
    kernels = [weights[f"convolutions.{one}.weight"].transpose(2, 1, 0) for one in layers]
    return Predictor(
        weights["embedding.weight"][:-1],
        np.stack(kernels),
        np.stack([weights[f"convolutions.{one}.bias"] for one in layers]),
        weights["query.weight"].T,
        weights["key.weight"].T,
    )


@pytest.mark.parametrize("layers", [1, 3])
def test_numpy_and_torch_find_the_same_probabilities(layers: int) -> None:
    torch.manual_seed(layers)
    predictor = BoundaryPredictor(BoundariesConfig(target_rate=12, layers=layers, dim=16), 8)
    lengths = torch.tensor([5, 1, 40])
    units = torch.randint(0, 7, (46,))
    with torch.no_grad():
        expected = predictor(units, lengths).numpy()
    found = numpy_of(predictor).probabilities(units.numpy(), np.array([0, 5, 6]))
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert found[[0, 5, 6]].tolist() == [1, 1, 1]


def test_a_block_of_units_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    predictor = numpy_of(BoundaryPredictor(BoundariesConfig(target_rate=12, dim=16), 8))
    units, first = np.random.default_rng(0).integers(0, 7, 100), np.array([0, 30, 31])
    expected = predictor.probabilities(units, first)
    monkeypatch.setattr("entcomp.segmentation.criteria.learnt.BLOCK", 7)
    np.testing.assert_array_equal(predictor.probabilities(units, first), expected)


def test_ratio_loss_pulls_to_the_rate() -> None:
    quarter = torch.tensor(0.25)
    assert ratio_loss(quarter, quarter, 4).item() == pytest.approx(1)
    for starting, sign in ((0.5, 1), (0.1, -1)):
        p = torch.tensor(starting, requires_grad=True)
        ratio_loss(torch.tensor(starting), p, 4).backward()
        assert p.grad is not None and sign * p.grad.item() > 0


def test_a_rate_above_that_of_units_is_refused() -> None:
    with pytest.raises(EntcompError, match="target_rate: 50 groups a second, of 50 units; lower"):
        Chunker(BoundariesConfig(target_rate=50), 8, frame_shift=0.02)


def batch_of(units: list[list[int]]) -> TextBatch:
    ones = [np.ones(len(row), np.int32) for row in units]
    tokens = [
        group_tokens(np.array(row, np.int32), groups, False)
        for row, groups in zip(units, ones, strict=True)
    ]
    targets = torch.tensor([[3, 4], [4, 5]])
    return TextBatch(PackedTokens.pack(tokens), targets, torch.tensor([2, 2]))


def test_the_text_teaches_the_predictor() -> None:
    """Without the loss of the rate, the recogniser's own reaches all of the predictor."""
    changes = SMALL | {"boundaries": {"target_rate": 25, "dim": 16, "ratio_weight": 0}}
    config = TextTaskConfig.model_validate(changes | {"parameters": None, "dropout": 0.0})
    model = build_model(config, num_clusters=6, vocabulary_size=8)
    model.loss(batch_of([[0, 0, 1, 2, 2, 3, 4, 4], [5, 5, 4, 3, 3, 1, 0]]))["loss"].backward()
    assert model.chunker is not None
    for name, one in model.chunker.predictor.named_parameters():
        assert one.grad is not None and one.grad.abs().sum() > 0, name


def test_groups_of_a_batch_are_those_of_its_utterances() -> None:
    config = TextTaskConfig.model_validate(SMALL | {"parameters": None, "dropout": 0.0})
    model = build_model(config, num_clusters=6, vocabulary_size=8).eval()
    rows = [[0, 0, 1, 2, 2, 3, 4, 4], [5, 5, 4, 3, 3, 1, 0]]
    with torch.no_grad():
        together, lengths = model.encode(batch_of(rows).source)
        for index, row in enumerate(rows):
            alone, (length,) = model.encode(batch_of([row]).source)
            assert length == lengths[index]
            torch.testing.assert_close(alone[0], together[index, :length], atol=1e-5, rtol=1e-4)


def test_learnt_groups_are_those_of_a_segmentation(toy: TextExperiment) -> None:
    """From training to groups, a recogniser of them, and units that arrive one by one."""
    assert "rate" in learn(toy)
    folder = toy.experiment.task("asr", f"learnt{RATE}")
    metrics = read_json(folder / "training.json")["outputs"]["metrics"]
    assert metrics["rate"] == pytest.approx(RATE, rel=0.25)
    assert "groups a second" in run("decode", *toy.arguments, "--model", f"asr/learnt{RATE}")
    assert f"predictor of asr/learnt{RATE}" in segment(toy)
    tag = f"rate{RATE}_learnt"
    rule = Rule.from_json(read_json(toy.experiment.threshold(tag)))
    for utt_id, groups in Groups.open(toy.experiment, "test", tag):
        units = dict(Units.open(toy.experiment, "test"))[utt_id]
        np.testing.assert_array_equal(group_one(utt_id, units, None, rule), groups)
        stream = StreamingGroups(rule)
        found = [one for at in range(0, len(units), 4) for one in stream.push(units[at : at + 4])]
        assert found + stream.finish() == groups.tolist()
    config = toy.config(**{**SMALL, "boundaries": None}, training=SCHEDULE | {"max_steps": 4})
    options = ("--segmentation", tag, "--config", config)
    assert "6 utterances" in run("train-asr", *toy.arguments, *options)


def test_a_shard_and_another_run_make_the_same_groups(toy: TextExperiment) -> None:
    learn(toy, max_steps=4)
    segment(toy)
    tag = f"rate{RATE}_learnt"
    expected = dict(Groups.open(toy.experiment, "test", tag))
    other = f"{tag}_again"
    for shard in ("1/2", "2/2"):
        segment(toy, "--tag", other, "--shard", shard)
    run("merge-shards", "groups", *toy.arguments, "--shards", 2, "--tag", other)
    found = dict(Groups.open(toy.experiment, "test", other))
    assert expected.keys() == found.keys()
    for utt_id, groups in expected.items():
        np.testing.assert_array_equal(found[utt_id], groups)


def test_mistakes_are_one_clear_line(toy: TextExperiment) -> None:
    learnt = ("segment", *toy.arguments, "--criterion", "learnt", "--target-rate", RATE)
    assert f"asr/learnt{RATE}" in refused(*learnt)  # nothing was trained
    config = toy.config(**{**SMALL, "boundaries": None}, training=SCHEDULE | {"max_steps": 4})
    run("train-asr", *toy.arguments, "--config", config, "--segmentation", "raw")
    assert "has no boundary predictor; train one by train-asr --learn-boundaries" in refused(
        *learnt, "--option", "model=asr/raw"
    )
    both = ("--segmentation", "raw", "--learn-boundaries", RATE)
    assert "give either --segmentation" in refused("train-asr", *toy.arguments, *both)
    learn(toy, max_steps=4)
    other = ("--model", f"asr/learnt{RATE}", "--segmentation", "raw")
    assert "groups units by its own predictor" in refused("decode", *toy.arguments, *other)


def test_damaged_weights_of_a_rule_are_refused(toy: TextExperiment) -> None:
    learn(toy, max_steps=4)
    segment(toy)
    path = toy.experiment.threshold(f"rate{RATE}_learnt")
    stored = read_json(path)
    stored["options"]["weights"] = "AAAA" + stored["options"]["weights"][4:]
    with pytest.raises(EntcompError, match="rerun segment"):
        Rule.from_json(stored, path)
