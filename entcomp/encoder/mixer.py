"""Self-attention over all tokens of an utterance: how a group comes to know of its surroundings."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from entcomp.encoder.packed import length_mask, pad, unpad
from entcomp.encoder.rotary import rotate, rotations


class TokenMixer(nn.Module):
    """A pre-norm Transformer layer with rotary positions, as in BLT's local encoder.

    ``h + Attention(LayerNorm(h))``, then ``h + FeedForward(LayerNorm(h))``; attention sees the
    whole utterance, and nothing of another one.
    """

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        if dim % heads or (dim // heads) % 2:
            raise ValueError(f"dim {dim} does not split into {heads} heads of even size")
        self.heads = heads
        self.attention_norm = nn.LayerNorm(dim)
        self.query_key_value = nn.Linear(dim, 3 * dim, bias=False)
        self.output = nn.Linear(dim, dim, bias=False)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(dim), nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, h_ND: Tensor, num_tokens_B: Tensor) -> Tensor:
        """(N, D) packed tokens of B utterances -> (N, D)."""
        h_ND = h_ND + self.dropout(self._attend(self.attention_norm(h_ND), num_tokens_B))
        return h_ND + self.dropout(self.feed_forward(h_ND))

    def _attend(self, x_ND: Tensor, num_tokens_B: Tensor) -> Tensor:
        qkv_BTE = pad(self.query_key_value(x_ND), num_tokens_B)
        q, k, v = qkv_BTE.unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # each BHTd
        mask_B11T = length_mask(num_tokens_B)[:, None, None]
        z_BHTd = attend(rotate_by_place(q), rotate_by_place(k), v, mask_B11T)
        return self.output(unpad(z_BHTd.transpose(1, 2).flatten(2), num_tokens_B))


def attend(q_BHTd: Tensor, k_BHTd: Tensor, v_BHTd: Tensor, mask_B11T: Tensor) -> Tensor:
    """Attention to where ``mask_B11T`` is true; same shape as the queries."""
    if q_BHTd.is_cuda or q_BHTd.dtype != torch.bfloat16:
        return F.scaled_dot_product_attention(q_BHTd, k_BHTd, v_BHTd, mask_B11T)
    # PyTorch's kernel for bfloat16 on CPUs takes three times as long as the plain products.
    scores_BHTT = (q_BHTd * q_BHTd.shape[-1] ** -0.5) @ k_BHTd.mT
    return scores_BHTT.masked_fill_(~mask_B11T, float("-inf")).softmax(-1) @ v_BHTd


def rotate_by_place(x_BHTd: Tensor) -> Tensor:
    """Queries or keys, turned by their places in the utterance."""
    positions_T = torch.arange(x_BHTd.shape[2], device=x_BHTd.device)
    return rotate(x_BHTd, *rotations(positions_T, x_BHTd.shape[3]))
