"""Diffusion Transformer: the velocity field of mel frames, given time, content, prompt and voice.

Shapes: B batch, M mel frames, N mel bins, P patches of mel frames, E bins of a whole patch, D width
of the model, H heads, K width of a head.
Conditioning on time and voice is by adaptive layer norms whose gates start at zero (Peebles and
Xie 2023), positions are rotary; content and prompt enter frame by frame with the noisy mel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from annotated_types import Ge, Gt, Le
from torch import Tensor, nn

from entcomp.config import Config
from entcomp.encoder.mixer import attend, rotate_by_place

TIME_FREQUENCIES = 128
SPEAKER_SIZE = 256  # of Resemblyzer's embeddings


class DitConfig(Config):
    """Size of the Diffusion Transformer."""

    dim: Annotated[int, Gt(0)] = 128
    depth: Annotated[int, Gt(0)] = 4
    heads: Annotated[int, Gt(0)] = 2
    ff_ratio: Annotated[int, Gt(0)] = 4
    dropout: Annotated[float, Ge(0), Le(1)] = 0.0
    patch: Annotated[int, Gt(0)] = 1  # mel frames that are one position of the transformer


@dataclass(frozen=True)
class Condition:
    """What the field is conditioned on.

    ``content`` (B, M, D) and ``prompt`` (B, M, N) are zero where there is nothing, ``speaker`` is
    (B, SPEAKER_SIZE); ``valid`` (B, M) is false on padding.
    """

    content: Tensor
    prompt: Tensor
    speaker: Tensor
    valid: Tensor

    def keep(self, content_B: Tensor, voice_B: Tensor) -> Condition:
        """The condition, its content or its voice zero for those of the batch where it is false."""
        content_B11, voice_B11 = (
            one.to(self.content.dtype).view(-1, 1, 1) for one in (content_B, voice_B)
        )
        return Condition(
            content=self.content * content_B11,
            prompt=self.prompt * voice_B11,
            speaker=self.speaker * voice_B11[:, 0],
            valid=self.valid,
        )


class DiffusionTransformer(nn.Module):
    """Velocity (B, M, N) of a noisy mel at time t in [0, 1].

    With ``with_mean`` it is also given a mel that it can expect (see `MeanMel`).
    """

    def __init__(self, config: DitConfig, n_mels: int, with_mean: bool) -> None:
        super().__init__()
        if config.dim % (2 * config.heads):
            raise ValueError(f"dim {config.dim} does not split into {config.heads} even heads")
        time_in = nn.Linear(2 * TIME_FREQUENCIES, config.dim)
        self.time = nn.Sequential(time_in, nn.SiLU(), nn.Linear(config.dim, config.dim))
        self.speaker = nn.Linear(SPEAKER_SIZE, config.dim, bias=False)
        self.patch = config.patch
        bins = config.patch * n_mels
        self.mel_in = nn.Linear((3 if with_mean else 2) * bins, config.dim)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.modulation = nn.Linear(config.dim, 2 * config.dim)
        self.mel_out = nn.Linear(config.dim, bins)
        self.gains = nn.Linear(config.dim, (2 if with_mean else 1) * bins)
        for layer in (self.modulation, self.mel_out, self.gains):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(
        self, x_BMN: Tensor, t_B: Tensor, condition: Condition, mean_BMN: Tensor | None
    ) -> Tensor:
        """The velocity (B, M, N)."""
        mels = [x_BMN] if mean_BMN is None else [x_BMN, mean_BMN]
        seen_BPE = torch.cat([to_patches(one, self.patch).flatten(2) for one in mels], dim=2)
        prompt_BPE = to_patches(condition.prompt, self.patch).flatten(2)
        content_BPD = to_patches(condition.content, self.patch).mean(dim=2)
        valid_BP = to_patches(condition.valid.unsqueeze(2), self.patch).flatten(2).any(dim=2)
        h_BPD = self.mel_in(torch.cat([seen_BPE, prompt_BPE], dim=2)) + content_BPD
        given_BD = F.silu(self.time(time_features(t_B)) + self.speaker(condition.speaker))
        for block in self.blocks:
            h_BPD = block(h_BPD, given_BD, valid_BP[:, None, None])
        shift, scale = self.modulation(given_BD).unsqueeze(1).chunk(2, dim=2)
        # Noise and mean pass around the blocks: the field of a Gaussian with that mean is affine in
        # both, and the blocks learn what is not.
        around_BPE = self.gains(given_BD).unsqueeze(1) * seen_BPE
        velocity_BPE = self.mel_out(modulate(h_BPD, shift, scale))
        velocity_BPE = velocity_BPE + sum(around_BPE.chunk(len(mels), dim=2))
        return to_frames(velocity_BPE, self.patch)[:, : x_BMN.shape[1]]


class Block(nn.Module):
    """Self-attention over patches, then a feed-forward layer, both modulated and gated."""

    def __init__(self, config: DitConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.qkv = nn.Linear(config.dim, 3 * config.dim, bias=False)
        self.out = nn.Linear(config.dim, config.dim)
        self.feed_forward = nn.Sequential(
            nn.Linear(config.dim, config.ff_ratio * config.dim),
            nn.GELU(approximate="tanh"),
            nn.Dropout(config.dropout),
            nn.Linear(config.ff_ratio * config.dim, config.dim),
        )
        self.dropout = nn.Dropout(config.dropout)
        self.modulation = nn.Linear(config.dim, 6 * config.dim)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, h_BPD: Tensor, given_BD: Tensor, attended_B11P: Tensor) -> Tensor:
        shift_a, scale_a, gate_a, shift_f, scale_f, gate_f = (
            self.modulation(given_BD).unsqueeze(1).chunk(6, dim=2)
        )
        attention = self.attend(modulate(h_BPD, shift_a, scale_a), attended_B11P)
        h_BPD = h_BPD + gate_a * self.dropout(attention)
        return h_BPD + gate_f * self.dropout(self.feed_forward(modulate(h_BPD, shift_f, scale_f)))

    def attend(self, h_BPD: Tensor, attended_B11P: Tensor) -> Tensor:
        q, k, v = (
            part.unflatten(2, (self.heads, -1)).transpose(1, 2)
            for part in self.qkv(h_BPD).chunk(3, dim=2)
        )
        mixed_BHPK = attend(rotate_by_place(q), rotate_by_place(k), v, attended_B11P)
        return self.out(mixed_BHPK.transpose(1, 2).flatten(2))


def to_patches(x_BMX: Tensor, patch: int) -> Tensor:
    """(B, M, X) in patches of frames, (B, P, patch, X), the last one filled up with zeros."""
    whole_BMX = F.pad(x_BMX, (0, 0, 0, -x_BMX.shape[1] % patch))
    return whole_BMX.unflatten(1, (-1, patch))


def to_frames(x_BPX: Tensor, patch: int) -> Tensor:
    """(B, P, patch * X) as frames again, (B, P * patch, X)."""
    return x_BPX.unflatten(2, (patch, -1)).flatten(1, 2)


def modulate(h_BPD: Tensor, shift_B1D: Tensor, scale_B1D: Tensor) -> Tensor:
    """Layer norm whose bias and gain come from the condition."""
    return F.layer_norm(h_BPD, h_BPD.shape[-1:]) * (1 + scale_B1D) + shift_B1D


def time_features(t_B: Tensor) -> Tensor:
    """Cosines and sines of t in [0, 1] at geometric frequencies, (B, 2 * TIME_FREQUENCIES)."""
    exponents = torch.arange(TIME_FREQUENCIES, device=t_B.device) / TIME_FREQUENCIES
    angles = 1000 * t_B.float().unsqueeze(1) * 10_000.0**-exponents
    return torch.cat([angles.cos(), angles.sin()], dim=1)
