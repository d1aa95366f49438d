"""The mel to expect of some content in some voice: what the flow starts from knowing.

Shapes: B batch, M mel frames, N mel bins, P patches of mel frames, D width of the model.
"""

from __future__ import annotations

from typing import Annotated

import torch.nn.functional as F
from annotated_types import Ge, Gt, Le
from torch import Tensor, nn

from entcomp.config import Config
from entcomp.tasks.vc.dit import SPEAKER_SIZE, Condition, to_frames, to_patches

KERNEL = 5  # patches or frames


class MeanMelConfig(Config):
    """Size of `MeanMel`, and the part of the steps that learn it alone; they are quick.

    The part is of the ``max_steps`` that a training begins with.
    """

    patch_layers: Annotated[int, Gt(0)] = 5
    frame_layers: Annotated[int, Ge(0)] = 2
    dropout: Annotated[float, Ge(0), Le(1)] = 0.1
    first: Annotated[float, Ge(0), Le(1)] = 0.0


class MeanMel(nn.Module):
    """The mean mel of some content in some voice, as in Grad-TTS (Popov et al. 2021).

    It is learnt by regression beside the flow, whose own loss is slow to teach what units sound
    like: half of it is noise, and where the mel shows through the noise nothing else is asked for.
    Convolutions go over the patches of the Diffusion Transformer, then over frames.
    """

    def __init__(self, config: MeanMelConfig, dim: int, patch: int, n_mels: int) -> None:
        super().__init__()
        self.patch = patch
        self.speaker = nn.Linear(SPEAKER_SIZE, dim, bias=False)
        self.patch_layers, self.frame_layers = (
            nn.ModuleList(Convolution(dim, config.dropout) for _ in range(layers))
            for layers in (config.patch_layers, config.frame_layers)
        )
        self.frames = nn.Linear(dim, patch * dim)
        self.out = nn.Linear(dim, n_mels)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, given: Condition) -> Tensor:
        """(B, M, N), zero on frames that are not valid, which tell the others nothing."""
        valid_BPp = to_patches(given.valid.unsqueeze(2), self.patch).squeeze(3)
        h_BPD = to_patches(given.content, self.patch).mean(dim=2)
        h_BPD = h_BPD + self.speaker(given.speaker).unsqueeze(1)
        for layer in self.patch_layers:
            h_BPD = layer(h_BPD, valid_BPp.any(dim=2))
        h_BMD = to_frames(self.frames(h_BPD), self.patch)
        for layer in self.frame_layers:
            h_BMD = layer(h_BMD, valid_BPp.flatten(1))
        mean_BMN = self.out(F.layer_norm(h_BMD, h_BMD.shape[-1:]))
        return mean_BMN[:, : given.valid.shape[1]] * given.valid.unsqueeze(2)


class Convolution(nn.Module):
    """A residual convolution over those of (B, T) that are valid."""

    def __init__(self, dim: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.convolution = nn.Conv1d(dim, dim, KERNEL, padding=KERNEL // 2)
        self.out = nn.Linear(dim, dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, h_BTD: Tensor, valid_BT: Tensor) -> Tensor:
        seen_BTD = self.norm(h_BTD) * valid_BT.unsqueeze(2)
        mixed_BTD = self.convolution(seen_BTD.transpose(1, 2)).transpose(1, 2)
        return h_BTD + self.dropout(self.out(F.gelu(mixed_BTD)))
