"""The voice converter: what its output depends on, its average, and that it learns."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from vc_toys import CLUSTERS, UNITS, toy_config, write_toy_corpus

from entcomp.config import load_config, resolve_config
from entcomp.encoder.local import LocalEncoderConfig
from entcomp.errors import EntcompError
from entcomp.tasks.vc.config import SamplerConfig, VcConfig
from entcomp.tasks.vc.content import FrameMap
from entcomp.tasks.vc.dataset import VcBatches, mel_statistics
from entcomp.tasks.vc.dit import DitConfig
from entcomp.tasks.vc.mean_mel import MeanMelConfig
from entcomp.tasks.vc.model import LAST_PLACE, VcBatch, VoiceConverter, build_converter, places


@pytest.fixture
def batch(tmp_path: Path) -> VcBatch:
    return batches(tmp_path, toy_config()).batch(0)


def batches(folder: Path, config: VcConfig) -> VcBatches:
    return VcBatches(write_toy_corpus(folder), FrameMap.between(UNITS, config.mel), config)


def random_model(config: VcConfig) -> VoiceConverter:
    """With gates and output open, which start at zero."""
    torch.manual_seed(0)
    model = VoiceConverter(config, CLUSTERS)
    for parameter in model.parameters():
        parameter.data.add_(0.05 * torch.randn_like(parameter))
    return model.eval()


@pytest.mark.parametrize("patch", [1, 2, 3])
def test_paddings_and_neighbours_change_nothing(tmp_path: Path, patch: int) -> None:
    config = toy_config(dit=DitConfig(dim=32, depth=2, heads=2, patch=patch))
    made = batches(tmp_path, config)
    model, sampler = random_model(config), SamplerConfig(steps=2)
    whole = made.batch(0)
    lengths = (whole.prompt_BM | whole.target_BM).sum(dim=1)
    assert lengths.min() < lengths.max()
    wide = replace(
        whole,
        rows_BM=torch.nn.functional.pad(whole.rows_BM, (0, 7)),
        mel_BMN=torch.nn.functional.pad(whole.mel_BMN, (0, 0, 0, 7)),
        prompt_BM=torch.nn.functional.pad(whole.prompt_BM, (0, 7)),
        target_BM=torch.nn.functional.pad(whole.target_BM, (0, 7)),
    )
    noise = torch.randn(whole.mel_BMN.shape)
    t_B, kept_2B = torch.full((4,), 0.3), torch.ones(2, 4)
    narrow_out = model(noise, t_B, kept_2B, whole)
    wide_out = model(torch.nn.functional.pad(noise, (0, 0, 0, 7)), t_B, kept_2B, wide)
    mask = whole.target_BM
    for narrow, wider in zip(narrow_out, wide_out, strict=True):
        assert narrow[mask].abs().max() > 0
        torch.testing.assert_close(wider[:, : mask.shape[1]][mask], narrow[mask])
    assert model.sample(whole, sampler, seed=0).shape == whole.mel_BMN.shape


@pytest.mark.parametrize("what", ["content", "prompt", "speaker"])
def test_each_condition_matters_unless_it_is_dropped(batch: VcBatch, what: str) -> None:
    model = random_model(toy_config())
    changed = {
        "content": replace(batch, rows_BM=batch.rows_BM.roll(3, dims=1)),
        "prompt": replace(batch, mel_BMN=batch.mel_BMN + batch.prompt_BM.unsqueeze(2)),
        "speaker": replace(batch, speaker_BE=batch.speaker_BE.roll(1, dims=1)),
    }[what]
    noise, t_B = torch.randn(batch.mel_BMN.shape), torch.full((4,), 0.3)
    own = torch.tensor([[1.0], [0.0]] if what == "content" else [[0.0], [1.0]]).expand(2, 4)
    for kept_2B, differs in ((torch.ones(2, 4), True), (own, True), (1 - own, False)):
        distance = model(noise, t_B, kept_2B, batch)[0] - model(noise, t_B, kept_2B, changed)[0]
        assert (distance[batch.target_BM].abs().max().item() > 1e-4) == differs


def test_the_target_itself_is_not_seen(batch: VcBatch) -> None:
    model = random_model(toy_config())
    other = replace(batch, mel_BMN=batch.mel_BMN * batch.prompt_BM.unsqueeze(2))
    sampler = SamplerConfig(steps=2)
    one, two = (model.sample(b, sampler, seed=3)[batch.target_BM] for b in (batch, other))
    torch.testing.assert_close(one, two)


def test_samples_depend_on_the_seed_and_on_guidance(batch: VcBatch) -> None:
    model = random_model(toy_config())
    draw = [
        model.sample(batch, SamplerConfig(steps=2, guidance=guidance, voice_guidance=voice), seed)[
            batch.target_BM
        ]
        for guidance, voice, seed in ((0.5, 0, 1), (0.5, 0, 1), (0.5, 0, 2), (0, 0, 1), (0.5, 1, 1))
    ]
    assert torch.equal(draw[0], draw[1])
    assert not any(torch.allclose(draw[0], other) for other in draw[2:])


def test_dev_losses_are_the_same_at_each_call(batch: VcBatch) -> None:
    model = random_model(toy_config())
    assert model.loss(batch)["loss"] == model.loss(batch)["loss"]
    assert model.loss(batch)["count"] == batch.target_BM.sum()


def test_the_mean_mel_is_the_target_less_what_the_condition_does_not_tell(batch: VcBatch) -> None:
    """It is learnt without regard to noise and time, and the loss has its error over all frames."""
    model = random_model(toy_config())
    kept_2B = torch.ones(2, 4)
    noise = torch.randn(2, *batch.mel_BMN.shape)
    (_, one), (_, other) = (
        model(noise[i], torch.full((4,), t), kept_2B, batch) for i, t in ((0, 0.1), (1, 0.9))
    )
    assert torch.equal(one, other)
    losses = model.loss(batch)
    there = batch.prompt_BM | batch.target_BM
    error = (one - batch.mel_BMN)[there].square().mean()  # the toy's mels are as they are
    assert losses["mean_mel"].item() == pytest.approx(error.item(), rel=1e-5)
    assert losses["loss"] == losses["flow"] + losses["mean_mel"]


def test_the_mean_mel_comes_first(batch: VcBatch) -> None:
    """Two of four steps leave the blocks alone; evaluation looks at the whole all the time."""
    model = VoiceConverter(toy_config(mean_mel=MeanMelConfig(first=0.5)), CLUSTERS)
    parts = []
    for _ in range(3):
        model.train().zero_grad()
        losses = model.loss(batch)
        losses["loss"].backward()
        parts.append(set(losses))
        learns = model.network.transformer.mel_out.weight.grad.abs().max() > 0
        assert learns == ("flow" in losses)
        assert model.network.mean_mel.out.weight.grad.abs().max() > 0
        assert "flow" in model.eval().loss(batch)
    whole = {"loss", "flow", "mean_mel", "count"}
    assert parts == [whole - {"flow"}, whole - {"flow"}, whole]


def phases(model: VoiceConverter, batch: VcBatch, batches: int) -> list[str]:
    return ["flow" if "flow" in model.train().loss(batch) else "mean" for _ in range(batches)]


def test_batches_were_counted_where_steps_were_meant(batch: VcBatch) -> None:
    """In the phase of the mean mel, and in the average."""

    def model(accumulate: int) -> VoiceConverter:
        torch.manual_seed(0)
        training = toy_config().training.model_copy(update={"accumulate": accumulate})
        return VoiceConverter(
            toy_config(mean_mel=MeanMelConfig(first=0.5), training=training), CLUSTERS
        )

    one, three = model(1), model(3)
    assert phases(three, batch, 9) == ["mean"] * 6 + ["flow"] * 3
    assert phases(one, batch, 3) == ["mean", "mean", "flow"]
    for made in (one, three):
        made.average.transformer.mel_out.bias.zero_()
        made.network.transformer.mel_out.bias.data.fill_(1.0)
    phases(one, batch, 1), phases(three, batch, 3)
    bias = one.average.transformer.mel_out.bias
    torch.testing.assert_close(three.average.transformer.mel_out.bias, bias)


def test_a_training_that_went_on_learnt_the_mean_mel_alone_again(batch: VcBatch) -> None:
    """More max_steps made its first part of them longer; also in models of before."""

    def model(max_steps: int) -> VoiceConverter:
        training = toy_config().training.model_copy(update={"max_steps": max_steps})
        return VoiceConverter(
            toy_config(mean_mel=MeanMelConfig(first=0.5), training=training), CLUSTERS
        )

    begun = model(4)
    assert phases(begun, batch, 2) == ["mean", "mean"]
    early = begun.state_dict() | {}
    assert phases(begun, batch, 1) == ["flow"]
    begun.network.transformer.mel_out.weight.data.fill_(0.1)  # as that step has it
    later = begun.state_dict() | {}
    older = {name: one for name, one in later.items() if name != "mean_steps"}
    for weights in (early, later, older):
        longer = model(40)
        longer.load_state_dict(weights)
        assert phases(longer, batch, 1) == ["flow"]
    killed = {name: one for name, one in model(4).state_dict().items() if name != "mean_steps"}
    resumed = model(4)
    resumed.load_state_dict(killed)
    assert phases(resumed, batch, 3) == ["mean", "mean", "flow"]


def test_without_mean_mel_there_is_the_flow_alone(tmp_path: Path) -> None:
    config = toy_config(mean_mel=None)
    model, one = random_model(config), batches(tmp_path, config).batch(0)
    assert set(model.loss(one)) == {"loss", "count"}
    _, mean = model(torch.randn(one.mel_BMN.shape), torch.full((4,), 0.3), torch.ones(2, 4), one)
    assert mean is None


@given(st.lists(st.lists(st.integers(0, 2), min_size=9, max_size=9), min_size=1, max_size=4))
def test_a_frame_knows_how_far_the_ends_of_its_group_are(rows: list[list[int]]) -> None:
    runs = [[list(run) for _, run in groupby(row)] for row in rows]
    before, behind = places(torch.tensor(rows))
    assert before.tolist() == [[i for run in row for i in range(len(run))] for row in runs]
    assert behind.tolist() == [
        [len(run) - 1 - i for run in row for i in range(len(run))] for row in runs
    ]


def test_the_mean_mel_of_a_repeated_group_changes_within_it(tmp_path: Path) -> None:
    """One vector stands on all frames of a group; its sound must not stand still."""
    config = toy_config(layout="repeat")
    one = batches(tmp_path, config).batch(0)
    same = replace(one, rows_BM=torch.ones_like(one.rows_BM))  # a single group, far from its ends
    network = random_model(config).network
    content = network.content(same.tokens, same.rows_BM)
    assert not torch.equal(content[:, 0], content[:, 1])
    middle = content[:, LAST_PLACE : -LAST_PLACE - 1]
    assert torch.equal(middle[:, :-1], middle[:, 1:])
    assert VoiceConverter(toy_config(), CLUSTERS).network.place is None  # zeros: nothing repeats


def test_units_that_sound_alike_begin_alike() -> None:
    model = VoiceConverter(toy_config(), CLUSTERS)
    angles = torch.arange(CLUSTERS) * 0.1
    model.start_from_vectors(torch.stack([angles.cos(), angles.sin(), angles], dim=1))
    e_KD = model.network.local.embedding.weight
    assert (e_KD[0] - e_KD[1]).norm() < 0.5 * (e_KD[0] - e_KD[6]).norm()
    assert torch.equal(e_KD, model.average.local.embedding.weight)


def test_the_average_follows_the_network(batch: VcBatch) -> None:
    model = VoiceConverter(toy_config(ema_decay=0.75), CLUSTERS).train()
    model.updates.fill_(1000)  # past the beginning, where it follows faster
    before = model.average.transformer.mel_out.bias.clone()
    model.network.transformer.mel_out.bias.data += 1.0
    model.loss(batch)["loss"].backward()
    after = model.average.transformer.mel_out.bias
    torch.testing.assert_close(after, before + 0.25)
    assert all(one.grad is None for one in model.average.parameters())


@pytest.mark.parametrize(("layout", "patch"), [("zero_insert", 1), ("repeat", 1), ("repeat", 2)])
def test_one_utterance_is_learnt_by_heart(tmp_path: Path, layout: str, patch: int) -> None:
    """Its mel comes back within 0.25 standard deviations; before training it is 1.0 away."""
    torch.manual_seed(0)
    config = toy_config(layout=layout, dit=DitConfig(dim=32, depth=2, heads=2, patch=patch))
    corpus = write_toy_corpus(tmp_path, speakers=1, each=2)
    made = VcBatches(corpus, FrameMap.between(UNITS, config.mel), config)
    model = VoiceConverter(config, CLUSTERS)
    model.set_mel_statistics(*mel_statistics(corpus, config))
    one = made.batch(0)
    optimizer = torch.optim.AdamW(model.network.parameters(), lr=5e-3, weight_decay=0.0)
    model.train()
    for _ in range(120):
        optimizer.zero_grad()
        model.loss(one)["loss"].backward()
        optimizer.step()
    drawn = model.eval().sample(one, SamplerConfig(steps=10, guidance=0.0), seed=0)
    distance = (drawn - one.mel_BMN).abs()[one.target_BM].mean() / model.mel_std
    assert distance.item() < 0.25


@pytest.mark.parametrize(
    "changes",
    [
        {"dit": DitConfig(dim=32, heads=3)},
        {"local": LocalEncoderConfig(heads=3)},
        {"local": LocalEncoderConfig(token_mixer="self", mixer_heads=3)},
    ],
)
def test_sizes_that_cannot_be_were_tracebacks(changes: dict[str, Any]) -> None:
    with pytest.raises(EntcompError, match=r"^config: dim 32 .*; fix dit\.dim, or the heads"):
        build_converter(toy_config(**changes), CLUSTERS)


@pytest.mark.parametrize("key", ["dit.dropout", "local.dropout"])
def test_a_dropout_above_one_was_a_traceback(key: str) -> None:
    with pytest.raises(EntcompError, match=f"key '{key}'"):
        resolve_config(VcConfig(), None, {key: 1.5})


def test_small_is_the_default(repository: Path) -> None:
    assert load_config(VcConfig, repository / "conf" / "vc" / "small.yaml") == VcConfig()
