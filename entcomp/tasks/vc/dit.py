"""Diffusion Transformer: the velocity field of mel frames, given time, content, prompt and voice.

Shapes: B batch, M mel frames, N mel bins, D width of the model, H heads, K width of a head.
Conditioning on time and voice is by adaptive layer norms whose gates start at zero (Peebles and
Xie 2023), positions are rotary; content and prompt enter frame by frame with the noisy mel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from annotated_types import Gt
from torch import Tensor, nn

from entcomp.config import Config
from entcomp.encoder.mixer import rotate

TIME_FREQUENCIES = 128
SPEAKER_SIZE = 256  # of Resemblyzer's embeddings


class DitConfig(Config):
    """Size of the Diffusion Transformer."""

    dim: Annotated[int, Gt(0)] = 128
    depth: Annotated[int, Gt(0)] = 4
    heads: Annotated[int, Gt(0)] = 2
    ff_ratio: Annotated[int, Gt(0)] = 4
    dropout: float = 0.0


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

    def keep(self, kept: Tensor) -> Condition:
        """The condition, all zero for those of the batch where ``kept`` (B,) is false."""
        kept = kept.to(self.content.dtype).view(-1, 1, 1)
        return Condition(
            self.content * kept, self.prompt * kept, self.speaker * kept[:, 0], self.valid
        )


class DiffusionTransformer(nn.Module):
    """Velocity (B, M, N) of a noisy mel at time t in [0, 1]."""

    def __init__(self, config: DitConfig, n_mels: int) -> None:
        super().__init__()
        if config.dim % (2 * config.heads):
            raise ValueError(f"dim {config.dim} does not split into {config.heads} even heads")
        time_in = nn.Linear(2 * TIME_FREQUENCIES, config.dim)
        self.time = nn.Sequential(time_in, nn.SiLU(), nn.Linear(config.dim, config.dim))
        self.speaker = nn.Linear(SPEAKER_SIZE, config.dim, bias=False)
        self.mel_in = nn.Linear(2 * n_mels, config.dim)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.modulation = nn.Linear(config.dim, 2 * config.dim)
        self.mel_out = nn.Linear(config.dim, n_mels)
        self.gain = nn.Linear(config.dim, n_mels)
        for layer in (self.modulation, self.mel_out, self.gain):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x_BMN: Tensor, t_B: Tensor, condition: Condition) -> Tensor:
        h_BMD = self.mel_in(torch.cat([x_BMN, condition.prompt], dim=2)) + condition.content
        given_BD = F.silu(self.time(time_features(t_B)) + self.speaker(condition.speaker))
        attended_B11M = condition.valid[:, None, None, :]
        for block in self.blocks:
            h_BMD = block(h_BMD, given_BD, attended_B11M)
        shift, scale = self.modulation(given_BD).unsqueeze(1).chunk(2, dim=2)
        # The noise passes around the blocks: a Gaussian's field is affine in x, and the blocks
        # learn what is not.
        return (
            self.mel_out(modulate(h_BMD, shift, scale)) + self.gain(given_BD).unsqueeze(1) * x_BMN
        )


class Block(nn.Module):
    """Self-attention over frames, then a feed-forward layer, both modulated and gated."""

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

    def forward(self, h_BMD: Tensor, given_BD: Tensor, attended_B11M: Tensor) -> Tensor:
        shift_a, scale_a, gate_a, shift_f, scale_f, gate_f = (
            self.modulation(given_BD).unsqueeze(1).chunk(6, dim=2)
        )
        attention = self.attend(modulate(h_BMD, shift_a, scale_a), attended_B11M)
        h_BMD = h_BMD + gate_a * self.dropout(attention)
        return h_BMD + gate_f * self.dropout(self.feed_forward(modulate(h_BMD, shift_f, scale_f)))

    def attend(self, h_BMD: Tensor, attended_B11M: Tensor) -> Tensor:
        q, k, v = (
            part.unflatten(2, (self.heads, -1)).transpose(1, 2)
            for part in self.qkv(h_BMD).chunk(3, dim=2)
        )
        mixed_BHMK = F.scaled_dot_product_attention(
            rotate(q), rotate(k), v, attn_mask=attended_B11M
        )
        return self.out(mixed_BHMK.transpose(1, 2).flatten(2))


def modulate(h_BMD: Tensor, shift_B1D: Tensor, scale_B1D: Tensor) -> Tensor:
    """Layer norm whose bias and gain come from the condition."""
    return F.layer_norm(h_BMD, h_BMD.shape[-1:]) * (1 + scale_B1D) + shift_B1D


def time_features(t_B: Tensor) -> Tensor:
    """Cosines and sines of t in [0, 1] at geometric frequencies, (B, 2 * TIME_FREQUENCIES)."""
    exponents = torch.arange(TIME_FREQUENCIES, device=t_B.device) / TIME_FREQUENCIES
    angles = 1000 * t_B.float().unsqueeze(1) * 10_000.0**-exponents
    return torch.cat([angles.cos(), angles.sin()], dim=1)
