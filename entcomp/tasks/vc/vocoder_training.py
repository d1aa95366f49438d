"""HiFi-GAN's training (Kong et al. 2020): ESPnet's generator, discriminators and losses.

Both sides of the game are one model with one loss for the one training loop: the generator's loss
is computed while the discriminators are frozen, theirs on a detached waveform, and one optimiser
step moves both.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import torch.nn.functional as F
from annotated_types import Gt
from torch import Tensor, nn

from entcomp.audio.mel import MelConfig, log_mel
from entcomp.audio.read import check_pipe, read_utterance
from entcomp.config import Config
from entcomp.errors import EntcompError
from entcomp.kaldi.datadir import DataDir, Utterance
from entcomp.tasks.vc.vocoders.hifigan import GeneratorConfig, VocoderConfig, build_generator
from entcomp.training.config import TrainingConfig
from entcomp.training.description import write_description
from entcomp.training.loop import FitResult, fit
from entcomp.training.utterances import stored_datasets
from entcomp.training.weights import naming_sizes

DEV_BATCHES = 8
MEL_WEIGHT = 45.0
FEATURE_WEIGHT = 2.0
# Waveforms that a process keeps: at 5 s each, 0.9 GB as 16 bits.
CACHED_WAVEFORMS = 4096


class DiscriminatorConfig(Config):
    """Discriminators of the waveform folded at ``periods``, and averaged at ``scales``."""

    periods: list[int] = [2, 3, 5, 7, 11]  # noqa: RUF012 - frozen
    scales: Annotated[int, Gt(0)] = 3
    channels: Annotated[int, Gt(0)] = 32
    max_channels: Annotated[int, Gt(0)] = 1024


class VocoderTrainingConfig(VocoderConfig):
    """``conf/vc/hifigan_*.yaml``; the defaults are those of ``hifigan_small.yaml``."""

    generator: GeneratorConfig = GeneratorConfig(channels=128)
    discriminator: DiscriminatorConfig = DiscriminatorConfig(channels=16, max_channels=512)
    batch_size: Annotated[int, Gt(0)] = 32
    segment: Annotated[int, Gt(0)] = 32  # mel frames of an example
    training: TrainingConfig = TrainingConfig(
        max_steps=20_000,
        learning_rate=4e-4,
        betas=[0.8, 0.99],
        warmup_steps=0,
        final_lr_ratio=0.1,
        clip_norm=None,
        val_interval=1_000,
        monitor="mel",
        num_workers=8,
    )


class HifiGanTraining(nn.Module):
    """A generator and its discriminators; batches are waveforms (batch, samples)."""

    def __init__(self, config: VocoderTrainingConfig) -> None:
        super().__init__()
        from espnet2.gan_tts.hifigan import loss

        self.mel = config.mel
        self.generator = build_generator(config.generator, config.mel, weight_norm=True)
        self.discriminators = build_discriminators(config.discriminator)
        self.fool = loss.GeneratorAdversarialLoss()
        self.tell = loss.DiscriminatorAdversarialLoss()
        self.match_features = loss.FeatureMatchLoss()

    def loss(self, real_BT: Tensor) -> dict[str, Tensor]:
        """HiFi-GAN's losses; in eval mode only ``mel``, the L1 distance of log mels."""
        target_BMN = log_mel(real_BT, self.mel)
        fake_B1T = self.generator(target_BMN.transpose(1, 2))
        mel = F.l1_loss(log_mel(fake_B1T.squeeze(1), self.mel), target_BMN)
        if not self.training:
            return {"loss": mel, "mel": mel}
        on_real = self.discriminators(real_BT.unsqueeze(1))
        with frozen(self.discriminators):
            on_fake = self.discriminators(fake_B1T)
        features = self.match_features(on_fake, on_real)
        fooled = self.fool(on_fake)
        caught = sum(self.tell(self.discriminators(fake_B1T.detach()), on_real))
        total = MEL_WEIGHT * mel + FEATURE_WEIGHT * features + fooled + caught
        parts = {"mel": mel, "features": features, "generator": fooled, "discriminator": caught}
        return {"loss": total, **parts}


def build_discriminators(config: DiscriminatorConfig) -> nn.Module:
    """ESPnet's multi-scale and multi-period discriminators."""
    from espnet2.gan_tts.hifigan import HiFiGANMultiScaleMultiPeriodDiscriminator

    shared: dict[str, Any] = {"max_downsample_channels": config.max_channels}
    return HiFiGANMultiScaleMultiPeriodDiscriminator(
        scales=config.scales,
        follow_official_norm=False,  # weight norm: spectral norm would differ from call to call
        periods=config.periods,
        scale_discriminator_params={**shared, "channels": 4 * config.channels},
        period_discriminator_params={**shared, "channels": config.channels},
    )


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """Gradients pass through ``module`` to its input, but none reach its parameters."""
    module.requires_grad_(False)
    try:
        yield
    finally:
        module.requires_grad_(True)


def train_hifigan(
    folder: Path,
    config: VocoderTrainingConfig,
    train: Sequence[DataDir],
    dev: Sequence[DataDir],
    skipped: Collection[str] = (),
    allow_pipes: bool = False,
) -> FitResult:
    """Train in ``folder``, or go on there; `load_hifigan` reads what is left in it.

    ``skipped`` are ids of utterances that are left out.
    Raises EntcompError for sizes that cannot be, for a pipe in wav.scp without ``allow_pipes``, and
    for what `fit` does.
    """
    torch.manual_seed(config.training.seed)
    with naming_sizes("fix those of generator or discriminator"):
        model = HifiGanTraining(config)
    inputs: dict[str, Any] = {
        "model": config.model_dump(mode="json", exclude={"training"}),
        "data": {one.name: one.audio_sha256() for one in (*train, *dev)},
    }
    if skipped:
        inputs["skipped"] = sorted(skipped)
    rows = (_rows(sets, skipped, allow_pipes) for sets in (train, dev))
    with stored_datasets(folder, *rows, make=Utterance) as audio:
        batches, dev_batches = (WaveformBatches(one, config, allow_pipes) for one in audio)
        fixed = [dev_batches.batch(step) for step in range(DEV_BATCHES)]
        result = fit(model, batches, fixed, config.training, folder, inputs)
    write_description(folder, config)
    return result


def _rows(
    sets: Sequence[DataDir], skipped: Collection[str], allow_pipes: bool
) -> Iterator[tuple[Any, ...]]:
    for data_set in sets:
        for one in data_set.utterances():
            check_pipe(one.wav, allow_pipes)
            if one.utt_id not in skipped:
                yield astuple(one)


class WaveformBatches:
    """Random excerpts of waveforms (batch, samples), as a pure function of the step."""

    def __init__(
        self,
        audio: Sequence[Utterance],
        config: VocoderTrainingConfig,
        allow_pipes: bool = False,
    ) -> None:
        if not audio:
            raise EntcompError("no utterances to train a vocoder on")
        self.audio = audio
        self.config = config
        self.allow_pipes = allow_pipes
        self.samples = config.segment * config.mel.hop_length

    def batch(self, step: int, rank: int = 0, world_size: int = 1) -> Tensor:
        """This rank's part of global batch ``step``."""
        size = self.config.batch_size
        mine = range(size * rank // world_size, size * (rank + 1) // world_size)
        return torch.stack([self._excerpt(step * size + number) for number in mine])

    def _excerpt(self, number: int) -> Tensor:
        rng = np.random.default_rng([self.config.training.seed, number])
        chosen = self.audio[int(rng.integers(len(self.audio)))]
        waveform = read_waveform(chosen, self.config.mel, self.allow_pipes)
        first = rng.integers(max(1, len(waveform) - self.samples + 1))
        excerpt = waveform[first : first + self.samples].float() / 2**15
        return F.pad(excerpt, (0, self.samples - len(excerpt)))


@lru_cache(CACHED_WAVEFORMS)
def read_waveform(audio: Utterance, mel: MelConfig, allow_pipes: bool = False) -> Tensor:
    """int16 samples at the mel's rate; the errors are those of `read_utterance`."""
    waveform = np.clip(read_utterance(audio, mel.sample_rate, allow_pipes), -1, 1)
    return torch.from_numpy((waveform * (2**15 - 1)).astype(np.int16))
