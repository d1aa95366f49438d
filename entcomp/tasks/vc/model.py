"""The voice converter: groups of units, a prompt and a voice in; a mel spectrogram out.

Shapes: B batch, M mel frames (prompt and target), N mel bins, D width, G groups of the batch.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from entcomp.encoder.local import LocalEncoder
from entcomp.encoder.packed import PackedTokens
from entcomp.tasks.vc.config import SamplerConfig, VcConfig
from entcomp.tasks.vc.dit import Condition, DiffusionTransformer
from entcomp.tasks.vc.flow import PathPoint, draw_point, euler, guided, matching_loss
from entcomp.tasks.vc.mean_mel import MeanMel
from entcomp.training.weights import naming_sizes, take_over

DEV_SEED = 0
LAST_PLACE = 15  # frames; those further from an end of their group share an embedding


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
        size = config.dit.dim, config.dit.patch, config.mel.n_mels
        self.mean_mel = MeanMel(config.mean_mel, *size) if config.mean_mel else None
        self.transformer = DiffusionTransformer(
            config.dit, config.mel.n_mels, with_mean=config.mean_mel is not None
        )
        ends = 2 * (LAST_PLACE + 1) if config.layout == "repeat" else 0
        self.place = nn.Embedding(ends, config.dit.dim) if ends else None
        if self.place is not None:
            nn.init.normal_(self.place.weight, std=0.1)

    def content(self, tokens: PackedTokens, rows_BM: Tensor) -> Tensor:
        """Group vectors on the mel axis (B, M, D), zeros where no group lies.

        Where a group is repeated, a frame also knows how far it is from the group's two ends.
        """
        vectors_GD = self.local(tokens)
        content_BMD = torch.cat([torch.zeros_like(vectors_GD[:1]), vectors_GD])[rows_BM]
        if self.place is None:
            return content_BMD
        before_BM, behind_BM = (one.clamp(max=LAST_PLACE) for one in places(rows_BM))
        place_BMD = self.place(before_BM) + self.place(behind_BM + LAST_PLACE + 1)
        return content_BMD + place_BMD * (rows_BM > 0).unsqueeze(2)

    def mean(self, given: Condition) -> Tensor | None:
        """The mean mel (B, M, N) that a condition calls for, if there is a `MeanMel`."""
        return self.mean_mel(given) if self.mean_mel else None


@dataclass(frozen=True)
class VelocityField:
    """The velocity field under one condition, whose mean mel is worked out once."""

    network: Network
    given: Condition
    mean_BMN: Tensor | None
    target_BM: Tensor

    def __call__(self, x_BMN: Tensor, t_B: Tensor) -> Tensor:
        """It sees no noise where the prompt is."""
        seen_BMN = x_BMN * self.target_BM.unsqueeze(2)
        return self.network.transformer(seen_BMN, t_B, self.given, self.mean_BMN)


class VoiceConverter(nn.Module):
    """A network, its running average (EMA), and the level and scale of log mels.

    Training works on the network, all else on the average. ``updates`` counts the batches of a
    training; its first ``mean_steps`` steps learn the mean mel alone, as many as were decided when
    it began: one that goes on for longer does not come back to them.
    """

    updates: Tensor
    mean_steps: Tensor
    mel_mean: Tensor
    mel_std: Tensor

    def __init__(self, config: VcConfig, num_clusters: int) -> None:
        super().__init__()
        self.config = config
        self.network = Network(config, num_clusters)
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))
        first = config.mean_mel.first if config.mean_mel else 0.0
        self.register_buffer("mean_steps", torch.tensor(int(first * config.training.max_steps)))
        self.register_load_state_dict_pre_hook(_complete)
        self.register_buffer("mel_mean", torch.zeros(()))
        self.register_buffer("mel_std", torch.ones(()))

    def set_mel_statistics(self, mean: float, std: float) -> None:
        """Level and scale of the training set's log mels, so that noise and data are alike."""
        self.mel_mean.fill_(mean)
        self.mel_std.fill_(std)

    def start_from_vectors(self, vectors_KF: Tensor) -> None:
        """Let the embeddings of units begin as these vectors say; see `LocalEncoder`."""
        self.network.local.start_from_vectors(vectors_KF)
        self.average.load_state_dict(self.network.state_dict())

    def start_from(self, other: VoiceConverter, folder: Path) -> None:
        """Take over the average and the mel statistics of the converter in ``folder``.

        Raises EntcompError if it is of another size.
        """
        take_over(self.network, other.average.state_dict(), folder)
        self.average.load_state_dict(self.network.state_dict())
        self.set_mel_statistics(other.mel_mean.item(), other.mel_std.item())

    def forward(
        self, x_BMN: Tensor, t_B: Tensor, kept_2B: Tensor, batch: VcBatch
    ) -> tuple[Tensor, Tensor | None]:
        """Velocity on the target's frames, and the mean mel (normalised) if any; both (B, M, N).

        ``kept_2B`` is false where there is to be no content (first row) or no voice (second).
        """
        field = self._field(self._condition(batch).keep(*kept_2B), batch)
        return field(x_BMN, t_B), field.mean_BMN

    def loss(self, batch: VcBatch) -> dict[str, Tensor]:
        """Flow-matching loss over the target's frames, counted in frames, and the mean mel's error.

        In eval mode noise and times are the same at each call, so that values can be compared.
        """
        if self.training:
            accumulate = self.config.training.accumulate
            step = self.updates // accumulate
            if self.updates % accumulate == 0:
                self._update_average(step + 1)
            self.updates += 1
            if step < self.mean_steps:
                return self._mean_loss(batch)
        point, kept_2B = self._draw(batch)
        velocity, mean = self(point.x_t, point.t, kept_2B, batch)
        flow = matching_loss(velocity, point.velocity, batch.target_BM)
        count = batch.target_BM.sum()
        if mean is None:
            return {"loss": flow, "count": count}
        error, _ = self._mean_error(mean, batch)
        return {"loss": flow + error, "flow": flow, "mean_mel": error, "count": count}

    def _mean_loss(self, batch: VcBatch) -> dict[str, Tensor]:
        """The mean mel's error alone; ranks that train together want every weight in it."""
        mean = self.network.mean(self._condition(batch))
        assert mean is not None
        error, count = self._mean_error(mean, batch)
        unused = sum(0 * one.sum() for one in self.network.parameters())
        return {"loss": error + unused, "mean_mel": error, "count": count}

    def _mean_error(self, mean_BMN: Tensor, batch: VcBatch) -> tuple[Tensor, Tensor]:
        """Over the frames of prompts and targets, and how many they are."""
        everywhere = batch.prompt_BM | batch.target_BM
        error = matching_loss(mean_BMN, self._normalised(batch.mel_BMN), everywhere)
        return error, everywhere.sum()

    @torch.no_grad()
    def sample(self, batch: VcBatch, sampler: SamplerConfig, seed: int) -> Tensor:
        """Draw log mels (B, M, N); only the frames of ``target_BM`` mean anything."""
        condition = self._condition(batch)
        none = torch.zeros_like(batch.speaker_BE[:, 0])
        knows_all = self._field(condition, batch)
        knows_less = [
            (guidance, self._field(condition.keep(*kept), batch))
            for guidance, kept in (
                (sampler.guidance, (none, none)),
                (sampler.voice_guidance, (none + 1, none)),
            )
            if guidance > 0
        ]

        def field(x_BMN: Tensor, t_B: Tensor) -> Tensor:
            others = [(guidance, less(x_BMN, t_B)) for guidance, less in knows_less]
            return guided(knows_all(x_BMN, t_B), others)

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

    def _field(self, given: Condition, batch: VcBatch) -> VelocityField:
        return VelocityField(self._active, given, self._active.mean(given), batch.target_BM)

    def _normalised(self, mel_BMN: Tensor) -> Tensor:
        return (mel_BMN - self.mel_mean) / self.mel_std

    @property
    def _active(self) -> Any:
        return self.network if self.training else self.average

    @torch.no_grad()
    def _update_average(self, step: Tensor) -> None:
        """Take in what the last step made of the network; early on the average is a short one."""
        decay = torch.clamp((1 + step) / (10 + step), max=self.config.ema_decay)
        for mean, current in zip(self.average.parameters(), self.network.parameters(), strict=True):
            mean.lerp_(current, 1 - decay)


def build_converter(config: VcConfig, num_clusters: int) -> VoiceConverter:
    """The model that ``config`` describes, seeded by ``config.training.seed``.

    Raises EntcompError for sizes that cannot be.
    """
    torch.manual_seed(config.training.seed)
    with naming_sizes("fix dit.dim, or the heads of dit or local"):
        return VoiceConverter(config, num_clusters)


def _complete(model: VoiceConverter, weights: dict[str, Tensor], prefix: str, *_: Any) -> None:
    """Those of older versions do not say when the flow began; its last layer began as zeros."""
    if f"{prefix}mean_steps" not in weights and f"{prefix}updates" in weights:
        begun = weights[f"{prefix}network.transformer.mel_out.weight"].any()
        known = torch.zeros_like(model.mean_steps) if begun else model.mean_steps
        weights[f"{prefix}mean_steps"] = known


def places(rows_BM: Tensor) -> tuple[Tensor, Tensor]:
    """How many equal rows stand before and behind each frame, in one run with it; both (B, M)."""
    frames = rows_BM.shape[1]
    number_M = torch.arange(frames, device=rows_BM.device)
    turns_BM = rows_BM.diff(dim=1) != 0
    edge_B1 = torch.ones_like(turns_BM[:, :1])
    first_BM = torch.cat([edge_B1, turns_BM], dim=1) * number_M
    last_BM = torch.where(torch.cat([turns_BM, edge_B1], dim=1), number_M, frames)
    before_BM = number_M - first_BM.cummax(dim=1).values
    behind_BM = last_BM.flip(1).cummin(dim=1).values.flip(1) - number_M
    return before_BM, behind_BM
