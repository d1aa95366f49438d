"""Groups that a recogniser makes itself: new groups of units, smoothing, rate, resumption."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import run
from text_experiment import SMALLEST, TextExperiment, toy_experiment
from tiny_pipeline import make_pipeline

from entcomp.artifacts.streams import read_streams
from entcomp.encoder.packed import PackedTokens, group_tokens
from entcomp.files import read_json
from entcomp.kaldi.table import read_table
from entcomp.segmentation.rule import Rule, group_one
from entcomp.tasks.text.boundaries import Chunks, ratio_loss
from entcomp.tasks.text.config import BoundariesConfig, TextTaskConfig
from entcomp.tasks.text.model import TextBatch, TextModel, build_model
from entcomp.tasks.text.train import TrainedTextModel
from entcomp.training.weights import read_weights

RATE = 20.0  # Hz
QUICK = {"learning_rate": 3e-3, "warmup_steps": 2, "val_interval": 4, "final_lr_ratio": 1.0}


@pytest.fixture
def toy(tmp_path: Path) -> TextExperiment:
    return toy_experiment(tmp_path)


def train(one: TextExperiment, *options: object, max_steps: int = 4, **changes: object) -> str:
    training = QUICK | {"max_steps": max_steps}
    config = one.config(**SMALLEST, training=training, **changes)
    command = ("train-asr", "--learn-boundaries", RATE, "--config", config)
    code, out, err = run(*command, *options, *one.arguments)
    assert code == 0, err
    return out


def units_of(*lengths: int) -> PackedTokens:
    generator = np.random.default_rng(0)
    rows = (generator.integers(0, 20, length) for length in lengths)
    return PackedTokens.pack([group_tokens(row, np.ones_like(row), False) for row in rows])


def tiny_model(**changes: object) -> TextModel:
    boundaries = BoundariesConfig(target_rate=RATE, dim=8)
    config = TextTaskConfig.model_validate(
        {**SMALLEST, "parameters": None, "dropout": 0.0, **changes, "boundaries": boundaries}
    )
    return build_model(config, 20, 30, frame_shift=0.02)


@pytest.mark.parametrize("merge_runs", [False, True])
def test_units_in_new_groups_are_those_of_group_tokens(merge_runs: bool) -> None:
    generator = np.random.default_rng(1)
    units = [generator.integers(0, 3, length) for length in (1, 9, 30)]
    starts = [generator.random(len(one)) < 0.4 for one in units]
    for one in starts:
        one[0] = True
    raw = PackedTokens.pack([group_tokens(one, np.ones_like(one), merge_runs) for one in units])
    found = raw.regroup(torch.from_numpy(np.concatenate(starts)), merge_runs)
    lengths = [np.diff(np.flatnonzero(one), append=len(one)) for one in starts]
    pairs = zip(units, lengths, strict=True)
    expected = PackedTokens.pack([group_tokens(*pair, merge_runs) for pair in pairs])
    for name in expected.__dataclass_fields__:
        assert torch.equal(getattr(found, name), getattr(expected, name)), name


def test_smoothing_is_the_recursion() -> None:
    torch.manual_seed(0)
    groups = [7, 1, 4]
    source = PackedTokens(*[torch.zeros(0)] * 4, num_groups_B=torch.tensor(groups))
    p_G, confidence_G = torch.rand(12) / 2 + 0.5, torch.rand(12, requires_grad=True)
    first = [0, 7, 8]
    p_G[first] = 1.0
    p_G[3] = 1 - 1e-4
    z_GD = torch.randn(12, 5)
    found_BMD = Chunks(source, p_G, confidence_G).smooth(z_GD)
    for row, begin, count in zip(found_BMD, first, groups, strict=True):
        before = torch.zeros(5)
        for index in range(count):
            p = p_G[begin + index]
            before = p * z_GD[begin + index] + (1 - p) * before
            torch.testing.assert_close(row[index], before, atol=1e-5, rtol=1e-5)
        assert (row[count:] == 0).all()
    found_BMD[0, 2].sum().backward()
    assert confidence_G.grad is not None
    torch.testing.assert_close(confidence_G.grad[2], found_BMD[0, 2].sum().detach())


def test_hidden_units_do_not_count_in_the_rate() -> None:
    """As many boundaries are asked of those that are heard: in use, none is hidden."""
    model = tiny_model()
    assert model.chunker is not None
    chunker, plain = model.chunker, units_of(60)
    hidden = plain.tokens_N.clone()
    hidden[20:] = 20
    _, of_all = chunker(plain, False)
    _, of_some = chunker(PackedTokens(hidden, *list(vars(plain).values())[1:]), False)
    p_N = chunker.predictor(plain.tokens_N[:20], torch.tensor([20]))
    assert of_some["rate"].item() == pytest.approx((p_N >= 0.5).float().mean().item() / 0.02)
    assert of_some["rate"] != of_all["rate"]


def test_the_ratio_loss_pulls_to_the_rate() -> None:
    quarter = torch.tensor(0.25)
    assert ratio_loss(quarter, quarter, 4).item() == pytest.approx(1)
    for starting, sign in ((0.5, 1), (0.1, -1)):
        p = torch.tensor(starting, requires_grad=True)
        ratio_loss(torch.tensor(starting), p, 4).backward()
        assert p.grad is not None and sign * p.grad.item() > 0


def batch_of(units: list[list[int]]) -> TextBatch:
    rows = [np.array(row, np.int32) for row in units]
    source = PackedTokens.pack([group_tokens(row, np.ones_like(row), False) for row in rows])
    return TextBatch(source, torch.tensor([[3, 4], [4, 5]]), torch.tensor([2, 2]))


UNITS = [[0, 0, 1, 2, 2, 3, 4, 4], [5, 5, 4, 3, 3, 1, 0]]


def test_the_text_teaches_the_predictor() -> None:
    """Without the loss of the rate, the recogniser's own reaches all of the predictor."""
    boundaries = {"target_rate": 25, "dim": 16, "ratio_weight": 0}
    config = TextTaskConfig.model_validate(
        {**SMALLEST, "boundaries": boundaries, "parameters": None, "dropout": 0.0}
    )
    model = build_model(config, num_clusters=6, vocabulary_size=8, frame_shift=0.02)
    model.loss(batch_of(UNITS))["loss"].backward()
    assert model.chunker is not None
    for name, one in model.chunker.predictor.named_parameters():
        assert one.grad is not None and one.grad.abs().sum() > 0, name


def test_what_else_is_in_the_batch_changes_nothing() -> None:
    model = tiny_model().eval()
    with torch.no_grad():
        together, lengths = model.encode(batch_of(UNITS).source)
        for index, row in enumerate(UNITS):
            alone, (length,) = model.encode(batch_of([row]).source)
            assert length == lengths[index]
            torch.testing.assert_close(alone[0], together[index, :length], atol=1e-5, rtol=1e-4)


def test_a_training_comes_near_its_rate_and_others_read_its_groups(toy: TextExperiment) -> None:
    boundaries = {"target_rate": RATE, "dim": 16}
    config = toy.config(
        **SMALLEST, boundaries=boundaries, training=QUICK | {"max_steps": 100, "val_interval": 50}
    )
    command = ("train-asr", *toy.arguments, "--config", config, "--learn-boundaries", 10)
    code, _, err = run(*command)
    assert code == 0, err
    folder = toy.experiment.task("asr", "learnt10")
    metrics = read_json(folder / "training.json")["outputs"]["metrics"]
    assert metrics["rate"] == pytest.approx(10, rel=0.25)
    segment = ("segment", "--criterion", "learnt", "--target-rate", 10, *toy.arguments)
    config = toy.config(**SMALLEST, training=QUICK | {"max_steps": 4})
    train_asr = ("train-asr", "--segmentation", "rate10_learnt", "--config", config, *toy.arguments)
    for command in (segment, train_asr):
        code, _, err = run(*command)
        assert code == 0, err
    other = ("--model", "asr/learnt10", "--segmentation", "raw")
    assert "groups units by its own predictor" in run("decode", *toy.arguments, *other)[2]


def test_the_model_and_the_criterion_group_alike(toy: TextExperiment) -> None:
    """At a threshold of 0.5."""
    train(toy)
    run("segment", "--criterion", "learnt", "--target-rate", RATE, *toy.arguments)
    options = toy.experiment.segmentation("rate20_learnt").rule["options"]
    rule = Rule("learnt", theta_z=float(np.nextafter(np.float32(0.5), 0)), options=options)
    trained = TrainedTextModel.open(toy.experiment, "asr/learnt20")
    for utt_id, units, groups in read_streams(toy.experiment, "test", "raw"):
        source = PackedTokens.pack([trained.tokens(units, groups)])
        assert trained.model.chunker is not None
        chunks, _ = trained.model.chunker(source, merge_runs=False)
        expected = group_one(utt_id, units, None, rule)
        assert chunks.source.group_sizes_G.tolist() == expected.tolist()


def test_the_same_seed_gives_the_same_weights_though_interrupted(tmp_path: Path) -> None:
    one, other = (toy_experiment(tmp_path / name) for name in ("one", "other"))
    train(one, max_steps=8, mask_fraction=0.2)
    train(other, max_steps=4, mask_fraction=0.2)
    train(other, max_steps=8, mask_fraction=0.2)
    weights = [toy.experiment.task("asr", "learnt20") / "model.safetensors" for toy in (one, other)]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    assert any(name.startswith("chunker.predictor.") for name in read_weights(weights[0]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--segmentation", "raw", "--learn-boundaries", 12], "give either --segmentation"),
        (["--learn-boundaries", 60], "60 groups a second, of 50 units; lower it"),
        (["--learn-boundaries", -1], "key 'boundaries.target_rate': Input should be greater"),
        (
            ["--segmentation", "raw", "--set", "boundaries.target_rate=12.0"],
            "config: boundaries: groups are then the model's own; give --learn-boundaries HZ",
        ),
    ],
)
def test_mistakes_in_the_call(toy: TextExperiment, options: list[object], message: str) -> None:
    code, _, err = run("train-asr", *toy.arguments, "--config", toy.config(**SMALLEST), *options)
    assert code == 1 and message in err and err.count("\n") == 1


def test_recordings_to_text_by_groups_of_its_own(tmp_path: Path) -> None:
    """transcribe, from a pack too, and bench-latency, which counts the groups that it makes."""
    experiment = make_pipeline(tmp_path)
    data = tmp_path / "data"
    ids = sorted(read_table(data / "train" / "wav.scp"))
    (data / "train" / "text").write_text("".join(f"{one} a bc\n" for one in ids))
    one = TextExperiment(data, experiment, {})
    train(one, "--sets", "train", "--dev-sets", "train", parameters=None)
    out, wav = tmp_path / "own.tar", data / "train" / f"{ids[0]}.wav"
    bench = ("--models", "asr/learnt20", "--sets", "train", "--utterances", 2)
    for command in (
        ("pack", experiment.path, out, "--model", "asr/learnt20"),
        ("bench-latency", *one.arguments, *bench),
    ):
        code, _, err = run(*command)
        assert code == 0, err
    model = read_json(experiment.path / "latency.json")["models"]["asr/learnt20"]
    assert 0 < model["rate"] < 100  # the units are a hundred a second
    own, packed = (run("transcribe", "--model", place, wav) for place in (experiment.path, out))
    assert own == packed and own[0] == 0
    code, _, err = run("transcribe", "--model", out, "--segmentation", "dedup", wav)
    assert code == 1 and "groups units by its own predictor; leave out rate" in err
