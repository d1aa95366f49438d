"""The voice converter: what its output depends on, its average, and that it learns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from vc_toys import CLUSTERS, UNITS, toy_config, write_toy_corpus

from entcomp.tasks.vc.config import SamplerConfig, VcConfig
from entcomp.tasks.vc.content import Clock
from entcomp.tasks.vc.dataset import VcBatches, mel_statistics
from entcomp.tasks.vc.model import VcBatch, VoiceConverter


@pytest.fixture
def batch(tmp_path: Path) -> VcBatch:
    return batches(tmp_path, toy_config()).batch(0)


def batches(folder: Path, config: VcConfig) -> VcBatches:
    return VcBatches(write_toy_corpus(folder), Clock.between(UNITS, config.mel), config)


def random_model(config: VcConfig) -> VoiceConverter:
    """With gates and output open, which start at zero."""
    torch.manual_seed(0)
    model = VoiceConverter(config, CLUSTERS)
    for parameter in model.parameters():
        parameter.data.add_(0.05 * torch.randn_like(parameter))
    return model.eval()


def test_paddings_and_neighbours_change_nothing(tmp_path: Path) -> None:
    config = toy_config()
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
    t_B, kept_B = torch.full((4,), 0.3), torch.ones(4)
    narrow_out = model(noise, t_B, kept_B, whole)
    wide_out = model(torch.nn.functional.pad(noise, (0, 0, 0, 7)), t_B, kept_B, wide)
    mask = whole.target_BM
    torch.testing.assert_close(wide_out[:, : mask.shape[1]][mask], narrow_out[mask])
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
    for kept_B, differs in ((torch.ones(4), True), (torch.zeros(4), False)):
        distance = model(noise, t_B, kept_B, batch) - model(noise, t_B, kept_B, changed)
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
        model.sample(batch, SamplerConfig(steps=2, guidance=guidance), seed)[batch.target_BM]
        for guidance, seed in ((0.5, 1), (0.5, 1), (0.5, 2), (0.0, 1))
    ]
    assert torch.equal(draw[0], draw[1])
    assert not torch.allclose(draw[0], draw[2]) and not torch.allclose(draw[0], draw[3])


def test_dev_losses_are_the_same_at_each_call(batch: VcBatch) -> None:
    model = random_model(toy_config())
    assert model.loss(batch)["loss"] == model.loss(batch)["loss"]
    assert model.loss(batch)["count"] == batch.target_BM.sum()


def test_the_average_follows_the_network(batch: VcBatch) -> None:
    model = VoiceConverter(toy_config(ema_decay=0.75), CLUSTERS).train()
    model.updates.fill_(1000)  # past the beginning, where it follows faster
    before = model.average.transformer.mel_out.bias.clone()
    model.network.transformer.mel_out.bias.data += 1.0
    model.loss(batch)["loss"].backward()
    after = model.average.transformer.mel_out.bias
    torch.testing.assert_close(after, before + 0.25)
    assert all(one.grad is None for one in model.average.parameters())


@pytest.mark.parametrize("layout", ["zero_insert", "repeat"])
def test_one_utterance_is_learnt_by_heart(tmp_path: Path, layout: str) -> None:
    """Its mel comes back within 0.25 standard deviations; before training it is 1.0 away."""
    torch.manual_seed(0)
    config = toy_config(layout=layout)
    corpus = write_toy_corpus(tmp_path, speakers=1, each=2)
    made = VcBatches(corpus, Clock.between(UNITS, config.mel), config)
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
