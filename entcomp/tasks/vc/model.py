"""The voice converter: groups of units, a prompt and a voice in; a mel spectrogram out.

Shapes: B batch, M mel frames (prompt and target), N mel bins, D width, G groups of the batch.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn

from entcomp.encoder.local import LocalEncoder
from entcomp.encoder.packed import PackedTokens
from entcomp.errors import EntcompError
from entcomp.tasks.vc.config import SamplerConfig, VcConfig
from entcomp.tasks.vc.dit import Condition, DiffusionTransformer
from entcomp.tasks.vc.flow import PathPoint, draw_point, euler, guided, matching_loss

DEV_SEED = 0


@dataclass(frozen=True)
class VcBatch:
    """Examples of a prompt and a target behind it, padded at the end.

    ``rows_BM`` says which of the groups in ``tokens`` (counted from 1, over the whole batch) lies
    on a mel frame; 0 is none. ``mel_BMN`` is the log mel; ``prompt_BM`` and ``target_BM`` tell
    which frames are what, and both are false on padding. ``speaker_BE`` is the prompt's voice.
    """

    tokens: PackedTokens
    rows_BM: Tensor
    mel_BMN: Tensor
    prompt_BM: Tensor
    target_BM: Tensor
    speaker_BE: Tensor

    def to(self, device: torch.device | str) -> VcBatch:
        return VcBatch(*(getattr(self, field.name).to(device) for field in fields(self)))


class Network(nn.Module):
    """All that is learnt: the encoder of groups and the velocity field."""

    def __init__(self, config: VcConfig, num_clusters: int) -> None:
        super().__init__()
        self.local = LocalEncoder(config.local, num_clusters, config.dit.dim)
        self.transformer = DiffusionTransformer(config.dit, config.mel.n_mels)

    def content(self, tokens: PackedTokens, rows_BM: Tensor) -> Tensor:
        """Group vectors on the mel axis (B, M, D), zeros where no group lies."""
        vectors_GD = self.local(tokens)
        return torch.cat([torch.zeros_like(vectors_GD[:1]), vectors_GD])[rows_BM]


class VoiceConverter(nn.Module):
    """A network, its running average (EMA), and the level and scale of log mels.

    Training works on the network, all else on the average.
    """

    updates: Tensor
    mel_mean: Tensor
    mel_std: Tensor

    def __init__(self, config: VcConfig, num_clusters: int) -> None:
        super().__init__()
        self.config = config
        self.network = Network(config, num_clusters)
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))
        self.register_buffer("mel_mean", torch.zeros(()))
        self.register_buffer("mel_std", torch.ones(()))

    def set_mel_statistics(self, mean: float, std: float) -> None:
        """Level and scale of the training set's log mels, so that noise and data are alike."""
        self.mel_mean.fill_(mean)
        self.mel_std.fill_(std)

    def start_from(self, other: VoiceConverter) -> None:
        """Take over the average and the mel statistics of a trained converter.

        Raises EntcompError if it is of another size.
        """
        try:
            self.network.load_state_dict(other.average.state_dict())
        except RuntimeError as error:
            reason = " ".join(str(error).split())
            raise EntcompError(f"the model to start from has another size ({reason})") from None
        self.average.load_state_dict(self.network.state_dict())
        self.set_mel_statistics(other.mel_mean.item(), other.mel_std.item())

    def forward(
        self, x_BMN: Tensor, t_B: Tensor, kept_2B: Tensor, batch: VcBatch
    ) -> tuple[Tensor, Tensor]:
        """Velocity on the target's frames, and the mean mel (normalised); both (B, M, N).

        ``kept_2B`` is false where there is to be no content (first row) or no voice (second).
        """
        return self._velocity(x_BMN, t_B, self._condition(batch).keep(*kept_2B), batch)

    def loss(self, batch: VcBatch) -> dict[str, Tensor]:
        """Flow-matching loss over the target's frames, counted in frames, and the mean mel's error.

        In eval mode noise and times are the same at each call, so that values can be compared.
        """
        if self.training:
            self._update_average()
            if self.updates <= self.config.mean_first * self.config.training.max_steps:
                return self._mean_loss(batch)
        point, kept_2B = self._draw(batch)
        velocity, mean = self(point.x_t, point.t, kept_2B, batch)
        flow = matching_loss(velocity, point.velocity, batch.target_BM)
        count = batch.target_BM.sum()
        if not self.config.dit.mean_mel:
            return {"loss": flow, "count": count}
        everywhere = batch.prompt_BM | batch.target_BM
        error = matching_loss(mean, self._normalised(batch.mel_BMN), everywhere)
        return {"loss": flow + error, "flow": flow, "mean_mel": error, "count": count}

    def _mean_loss(self, batch: VcBatch) -> dict[str, Tensor]:
        """The mean mel's error alone; ranks that train together want every weight in it."""
        mean = self.network.transformer.mean(self._condition(batch))
        everywhere = batch.prompt_BM | batch.target_BM
        error = matching_loss(mean, self._normalised(batch.mel_BMN), everywhere)
        unused = sum(0 * one.sum() for one in self.network.parameters())
        return {"loss": error + unused, "mean_mel": error, "count": everywhere.sum()}

    @torch.no_grad()
    def sample(self, batch: VcBatch, sampler: SamplerConfig, seed: int) -> Tensor:
        """Draw log mels (B, M, N); only the frames of ``target_BM`` mean anything."""
        condition = self._condition(batch)
        none = torch.zeros_like(batch.speaker_BE[:, 0])
        away = [
            (sampler.guidance, condition.keep(none, none)),
            (sampler.voice_guidance, condition.keep(none + 1, none)),
        ]

        def field(x_BMN: Tensor, t_B: Tensor) -> Tensor:
            velocity, _ = self._velocity(x_BMN, t_B, condition, batch)
            others = [(g, self._velocity(x_BMN, t_B, less, batch)[0]) for g, less in away if g > 0]
            return guided(velocity, others)

        generator = torch.Generator().manual_seed(seed)
        noise = torch.randn(batch.mel_BMN.shape, generator=generator) * sampler.temperature
        x_BMN = euler(field, noise.to(batch.mel_BMN.device), sampler.steps)
        return x_BMN * self.mel_std + self.mel_mean

    def _draw(self, batch: VcBatch) -> tuple[PathPoint, Tensor]:
        """A point on each example's path, and which examples keep their content and voice."""
        x1 = self._normalised(batch.mel_BMN)
        if not self.training:
            generator = torch.Generator(x1.device).manual_seed(DEV_SEED)
            return draw_point(x1, generator), torch.ones(2, len(x1), device=x1.device)
        place = torch.rand(len(x1), device=x1.device)
        all_gone = self.config.batch.condition_dropout
        voice_gone = all_gone + self.config.batch.voice_dropout
        return draw_point(x1), torch.stack([place >= all_gone, place >= voice_gone])

    def _condition(self, batch: VcBatch) -> Condition:
        return Condition(
            content=self._active.content(batch.tokens, batch.rows_BM),
            prompt=self._normalised(batch.mel_BMN) * batch.prompt_BM.unsqueeze(2),
            speaker=batch.speaker_BE,
            valid=batch.prompt_BM | batch.target_BM,
        )

    def _velocity(
        self, x_BMN: Tensor, t_B: Tensor, given: Condition, batch: VcBatch
    ) -> tuple[Tensor, Tensor]:
        """The field sees no noise where the prompt is."""
        return self._active.transformer(x_BMN * batch.target_BM.unsqueeze(2), t_B, given)

    def _normalised(self, mel_BMN: Tensor) -> Tensor:
        return (mel_BMN - self.mel_mean) / self.mel_std

    @property
    def _active(self) -> Any:
        return self.network if self.training else self.average

    @torch.no_grad()
    def _update_average(self) -> None:
        """Take in what the last step made of the network; early on the average is a short one."""
        self.updates += 1
        decay = torch.clamp((1 + self.updates) / (10 + self.updates), max=self.config.ema_decay)
        for mean, current in zip(self.average.parameters(), self.network.parameters(), strict=True):
            mean.lerp_(current, 1 - decay)
