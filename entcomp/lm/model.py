"""The entropy LM: a LLaMA-style decoder over packed sequences of units.

Shape suffixes: T tokens of all sequences, D channels, H heads, E channels of a head, F channels
inside SwiGLU, K units.

What is unusual:
- Sequences lie end to end (`Packed`); no layer computes on padding.
- BOS is an input only: the embedding has K + 1 rows, the head K outputs, apart from each other.
- The head starts at zero, so that training starts at a loss of ln K. Other matrices start normal
  with deviation 0.02, those that write to the residual divided by sqrt(2 x layers).
- No biases; RMSNorm before each block and before the head.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from entcomp.artifacts.experiment import Direction, Experiment
from entcomp.artifacts.models import WEIGHTS
from entcomp.encoder.rotary import rotate, rotations
from entcomp.lm.checkpoint import LMInfo, read_lm
from entcomp.lm.config import LMConfig
from entcomp.lm.packed import Packed
from entcomp.training.weights import load_model

NORM_EPS = 1e-5
INIT_STD = 0.02


class UnitLM(nn.Module):
    """``forward(packed) -> logits_TK``: the next unit's, given those before it in its sequence."""

    def __init__(self, config: LMConfig, num_clusters: int) -> None:
        super().__init__()
        self.num_clusters = num_clusters
        self.head_dim = config.dim // config.heads
        self.embedding = nn.Embedding(num_clusters + 1, config.dim)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = RMSNorm(config.dim)
        self.head = nn.Linear(config.dim, num_clusters, bias=False)
        self.dropout = nn.Dropout(config.dropout)
        self._initialise(config.layers)

    @classmethod
    def load(cls, path: Path, config: LMConfig, num_clusters: int) -> UnitLM:
        """Trained weights, in eval mode on the CPU. Raises EntcompError where they do not fit."""
        return load_model(lambda: cls(config, num_clusters), path).eval()

    def forward(self, packed: Packed) -> Tensor:
        cos_TE, sin_TE = rotations(packed.positions_T, self.head_dim)
        rope_T1E = cos_TE[:, None], sin_TE[:, None]  # of all heads alike
        x_TD = self.dropout(self.embedding(packed.inputs_T))
        for block in self.blocks:
            x_TD = block(x_TD, rope_T1E, packed)
        return self.head(self.norm(x_TD))

    def loss(self, packed: Packed) -> dict[str, Tensor]:
        """Nats per unit, and the number of units."""
        logits_TK = self(packed)
        count = torch.tensor(len(packed.targets_T))
        return {"loss": F.cross_entropy(logits_TK.float(), packed.targets_T), "count": count}

    def _initialise(self, layers: int) -> None:
        for name, parameter in self.named_parameters():
            if parameter.ndim > 1:
                writes_residual = name.endswith(("attention.output.weight", "ffn.down.weight"))
                scale = 1 / math.sqrt(2 * layers) if writes_residual else 1.0
                nn.init.normal_(parameter, std=INIT_STD * scale)
        nn.init.zeros_(self.head.weight)


def load_lm(experiment: Experiment, direction: Direction) -> tuple[UnitLM, LMConfig, LMInfo]:
    """The LM of an experiment, in eval mode on the CPU. Raises EntcompError as `read_lm` does."""
    folder = experiment.lm(direction)
    config, info = read_lm(folder, experiment.units_info().codebook_sha256)
    return UnitLM.load(folder / WEIGHTS, config, info.num_clusters), config, info


def entropies(logits_TK: Tensor) -> Tensor:
    """Entropy of each row's distribution, in nats (eq. 1): (T, K) -> (T,) float32."""
    log_p_TK = logits_TK.float().log_softmax(dim=-1)
    return -(log_p_TK.exp() * log_p_TK).sum(dim=-1)


class Block(nn.Module):
    """Attention, then SwiGLU, each added to what it reads."""

    def __init__(self, config: LMConfig) -> None:
        super().__init__()
        self.attention_norm = RMSNorm(config.dim)
        self.attention = Attention(config.dim, config.heads)
        self.ffn_norm = RMSNorm(config.dim)
        self.ffn = SwiGLU(config.dim, config.ffn_dim)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x_TD: Tensor, rope_T1E: tuple[Tensor, Tensor], packed: Packed) -> Tensor:
        x_TD = x_TD + self.dropout(self.attention(self.attention_norm(x_TD), rope_T1E, packed))
        return x_TD + self.dropout(self.ffn(self.ffn_norm(x_TD)))


class Attention(nn.Module):
    """Causal multi-head attention; who may see whom is ``packed.attend``'s business."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.output = nn.Linear(dim, dim, bias=False)

    def forward(self, x_TD: Tensor, rope_T1E: tuple[Tensor, Tensor], packed: Packed) -> Tensor:
        q_THE, k_THE, v_THE = self.qkv(x_TD).view(len(x_TD), 3, self.heads, -1).unbind(dim=1)
        mixed_THE = packed.attend(rotate(q_THE, *rope_T1E), rotate(k_THE, *rope_T1E), v_THE)
        return self.output(mixed_THE.flatten(start_dim=1))


class SwiGLU(nn.Module):
    """``down(silu(gate(x)) * up(x))``"""

    def __init__(self, dim: int, ffn_dim: int) -> None:
        super().__init__()
        self.gate_up = nn.Linear(dim, 2 * ffn_dim, bias=False)
        self.down = nn.Linear(ffn_dim, dim, bias=False)

    def forward(self, x_TD: Tensor) -> Tensor:
        gate_TF, up_TF = self.gate_up(x_TD).chunk(2, dim=-1)
        return self.down(F.silu(gate_TF) * up_TF)


class RMSNorm(nn.Module):
    """Root mean square 1, in float32, then a gain."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x_TD: Tensor) -> Tensor:
        x32_TD = x_TD.float()
        scale = torch.rsqrt(x32_TD.square().mean(dim=-1, keepdim=True) + NORM_EPS)
        return (x32_TD * scale * self.weight).type_as(x_TD)
