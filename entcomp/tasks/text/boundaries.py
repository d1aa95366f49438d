"""Dynamic chunking: groups of units that are learnt with the model that reads them.

After H-Net (Hwang, Wang and Gu 2025, arXiv 2507.07955), from which the equations are, with these
differences. The encoder before the router is causal convolutions, so that boundaries can be found
in a stream, and by numpy (`entcomp.segmentation.criteria.learnt`). Groups are pooled by the local
encoder, not represented by their first unit. And nothing is upsampled: what H-Net does to the
vector of every unit is done to the vector of its group.
Shape suffixes as in `entcomp.encoder.packed`; C channels of the predictor.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from entcomp.encoder.packed import PackedTokens, length_mask, pad, unpad
from entcomp.errors import EntcompError
from entcomp.tasks.text.config import BoundariesConfig


class BoundaryPredictor(nn.Module):
    """The probability that a unit begins a group, of it and the units before it.

    Units are embedded; ``x := x + tanh(Conv(x))`` follows, ``layers`` times, with causal
    convolutions; then ``p_t = (1 - cos(W_q x_t, W_k x_{t-1})) / 2`` (eq. 4). An utterance's first
    unit has 1. In float32 whatever the precision, as decisions depend on it.
    """

    def __init__(self, config: BoundariesConfig, num_tokens: int) -> None:
        super().__init__()
        dim, self.before = config.dim, config.kernel - 1
        self.embedding = nn.Embedding(num_tokens, dim)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(dim, dim, config.kernel) for _ in range(config.layers)
        )
        self.query = nn.Linear(dim, dim, bias=False)
        self.key = nn.Linear(dim, dim, bias=False)
        for one in (self.query, self.key):  # as in H-Net: at first, units that differ are apart
            nn.init.eye_(one.weight)

    def forward(self, tokens_N: Tensor, num_tokens_B: Tensor) -> Tensor:
        """Probabilities, float32 (N,), of packed units (N,) of B utterances."""
        with torch.autocast(tokens_N.device.type, enabled=False):
            x_BTC = pad(self.embedding(tokens_N), num_tokens_B)
            for one in self.convolutions:
                before_BCT = F.pad(x_BTC.transpose(1, 2), (self.before, 0))
                x_BTC = x_BTC + one(before_BCT).transpose(1, 2).tanh()
            similar_BT = F.cosine_similarity(self.query(x_BTC[:, 1:]), self.key(x_BTC[:, :-1]), -1)
            p_BT = F.pad(((1 - similar_BT) / 2).clamp(0, 1), (1, 0), value=1.0)
            return unpad(p_BT, num_tokens_B)


@dataclass(frozen=True)
class Chunks:
    """Units in the groups that a predictor made, and what is learnt by.

    ``p_G``: probabilities of their first units. ``confidence_G``: means over their units of how
    sure the predictor was, whichever way it decided (eq. 6).
    """

    source: PackedTokens
    p_G: Tensor
    confidence_G: Tensor

    def smooth(self, z_GD: Tensor) -> Tensor:
        """Group vectors (G, D) with what carries the gradient to probabilities: (B, M, D), padded.

        ``z_g := p_g z_g + (1 - p_g) z_{g-1}`` (eq. 5): a group whose beginning is in doubt is mixed
        with those before it, also where the model is used. Then a factor that is 1, and has the
        gradient of the group's confidence (eq. 7 and 9).
        """
        counts_B = self.source.num_groups_B
        with torch.autocast(z_GD.device.type, enabled=False):
            z_BMD = pad(z_GD.float(), counts_B)
            p_BM = pad(self.p_G[:, None], counts_B)[..., 0]
            c_BM = pad(self.confidence_G[:, None], counts_B)[..., 0]
            # A group keeps p_k of itself, and later ones 1 - p each of what they begin from.
            passed_BM = F.pad((1 - p_BM[:, 1:]).clamp(min=1e-4).log().cumsum(1), (1, 0))
            log_BMM = passed_BM[:, :, None] - passed_BM[:, None]
            later_MM = torch.ones_like(log_BMM[0], dtype=torch.bool).triu(1)
            share_BMM = log_BMM.masked_fill(later_MM, float("-inf")).exp() * p_BM[:, None]
            factor_BM = length_mask(counts_B) + c_BM - c_BM.detach()  # 1, and 0 in the padding
            return share_BMM @ z_BMD * factor_BM[..., None]


class Chunker(nn.Module):
    """Groups units by its predictor: a group begins where the probability is 0.5 or more (eq. 4).

    ``frame_shift``: seconds from unit to unit. Raises EntcompError for a rate above that of units.
    """

    def __init__(self, config: BoundariesConfig, num_tokens: int, frame_shift: float) -> None:
        super().__init__()
        self.predictor = BoundaryPredictor(config, num_tokens)
        self.mask = num_tokens - 1  # in the place of units that are hidden in training
        self.frame_shift = frame_shift
        self.units_a_group = 1 / (config.target_rate * frame_shift)
        if self.units_a_group <= 1:
            raise EntcompError(
                f"config: boundaries.target_rate: {config.target_rate:g} groups a second, of "
                f"{1 / frame_shift:.4g} units; lower it"
            )

    def forward(self, source: PackedTokens, merge_runs: bool) -> tuple[Chunks, dict[str, Tensor]]:
        """The groups of raw units, their ``rate`` in Hz, and the loss that keeps it (``ratio``)."""
        p_N = self.predictor(source.tokens_N, source.num_tokens_B)
        starts_N = p_N >= 0.5
        group_N = starts_N.cumsum(0) - 1
        sure_N = torch.where(starts_N, p_N, 1 - p_N)
        sums_G = torch.zeros_like(p_N[starts_N]).index_add(0, group_N, sure_N)
        chunks = Chunks(
            source.regroup(starts_N, merge_runs), p_N[starts_N], sums_G / torch.bincount(group_N)
        )
        heard_N = source.tokens_N != self.mask
        count = heard_N.sum().clamp(min=1)
        starting = (starts_N & heard_N).sum() / count
        ratio = ratio_loss(starting, (p_N * heard_N).sum() / count, self.units_a_group)
        return chunks, {"ratio": ratio, "rate": starting / self.frame_shift}


def ratio_loss(starting: Tensor, p: Tensor, units_a_group: float) -> Tensor:
    """``N / (N - 1) ((N - 1) F G + (1 - F) (1 - G))`` (eq. 10): 1 where F = G = 1 / N.

    F, the share of units that begin a group, has no gradient; G, their mean probability, has that
    which lowers it where F is above 1 / N, and raises it where F is below.
    """
    n = units_a_group
    return n / (n - 1) * ((n - 1) * starting * p + (1 - starting) * (1 - p))
