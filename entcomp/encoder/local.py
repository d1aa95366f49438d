"""The cross-attentive local encoder (section 3.4 of the paper), and the pooling baselines.

All work on packed tokens (see `packed`): softmax and sums are taken over each group by scatter,
so that work and memory grow with the number of tokens, not with groups times tokens.

With ``token_mixer: none``, ``position: none``, ``duration_embedding: false`` and one head, CALE is
the paper's equations to the letter. The switches fill what the paper leaves open: how a token
knows of other groups (``token_mixer: self``), of its place in its group (``position: intra``), and
of time (``duration_embedding``). Appendix B calls its layers Transformer blocks, of which section
3.4 has the attention only: ``feed_forward`` adds the other half.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal

import numpy as np
import torch
from annotated_types import Ge, Gt, Le
from torch import Tensor, nn

from entcomp.config import Config
from entcomp.encoder.mixer import TokenMixer
from entcomp.encoder.packed import PackedTokens, owners

# Positions and durations beyond this (frames) share one embedding.
LONGEST = 255

Pooling = Literal["cale", "max", "average", "attention"]


class LocalEncoderConfig(Config):
    """From groups of tokens to vectors; the defaults are the paper's."""

    embedding: Literal["random", "codebook", "lm"] = "random"  # what W_e begins as
    pooling: Pooling = "cale"
    layers: Annotated[int, Gt(0)] = 4
    heads: Annotated[int, Gt(0)] = 1
    token_mixer: Literal["none", "self"] = "none"
    mixer_heads: Annotated[int, Gt(0)] = 4
    feed_forward: Annotated[int, Gt(0)] | None = None  # channels, after each cross-attention
    position: Literal["none", "intra"] = "none"
    duration_embedding: bool = False
    dropout: Annotated[float, Ge(0), Le(1)] = 0.0  # of embeddings and in the mixer


def embeddings_inputs(config: LocalEncoderConfig, vectors_KF: np.ndarray | None) -> dict[str, str]:
    """What a training notes of the LM whose embeddings its own begin from; nothing of others."""
    if config.embedding != "lm" or vectors_KF is None:
        return {}
    return {"embeddings_sha256": hashlib.sha256(vectors_KF.tobytes()).hexdigest()}


class LocalEncoder(nn.Module):
    """Embed tokens and reduce each group to one vector.

    ``num_tokens`` is the size of the embedding W_e: the clusters, and what a task adds to them.
    """

    def __init__(self, config: LocalEncoderConfig, num_tokens: int, dim: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(num_tokens, dim)
        self.position = _small_embedding(dim) if config.position == "intra" else None
        durations = config.duration_embedding
        self.token_duration = _small_embedding(dim) if durations else None
        self.group_duration = _small_embedding(dim) if durations else None
        self.dropout = nn.Dropout(config.dropout)
        self.pool: nn.Module
        if config.pooling == "cale":
            self.pool = Cale(config, dim)
        else:
            self.pool = {"max": MaxPool, "average": AveragePool, "attention": AttentionPool}[
                config.pooling
            ](dim)

    def start_from_vectors(self, vectors_KF: Tensor) -> None:
        """Begin with embeddings as alike as (K, F) vectors are, see `start_from_vectors`."""
        start_from_vectors(self.embedding, vectors_KF)

    def forward(self, batch: PackedTokens) -> Tensor:
        """(G, D): the vectors of all groups, utterance after utterance."""
        group_N = owners(batch.group_sizes_G, len(batch.tokens_N))
        e_ND = self.embedding(batch.tokens_N)
        if self.position is not None:
            first_G = batch.group_sizes_G.cumsum(0) - batch.group_sizes_G
            place_N = torch.arange(len(group_N), device=group_N.device) - first_G[group_N]
            e_ND = e_ND + self.position(place_N.clamp(max=LONGEST))
        if self.token_duration is not None:
            e_ND = e_ND + self.token_duration(batch.durations_N.clamp(max=LONGEST))
        p_GD = self.pool(self.dropout(e_ND), batch, group_N)
        if self.group_duration is not None:
            frames_G = torch.zeros_like(batch.group_sizes_G)
            frames_G = frames_G.index_add(0, group_N, batch.durations_N)
            p_GD = p_GD + self.group_duration(frames_G.clamp(max=LONGEST))
        return p_GD


@torch.no_grad()
def start_from_vectors(embedding: nn.Embedding, vectors_KF: Tensor) -> None:
    """Let units that are alike begin with embeddings that are alike.

    ``vectors_KF`` are the codebook's centroids (of units that sound alike) or the entropy LM's
    embeddings (of units that are used alike). The embedding, W_e say, gets the principal components
    of the K vectors, D at most, with unit variance; a random rotation spreads them over the
    channels, so that pooling by channel sees all of them. Tokens beyond the K units keep their
    random embeddings.
    """
    dim = embedding.embedding_dim
    u_KC, scale_C, _ = torch.linalg.svd(vectors_KF - vectors_KF.mean(0), full_matrices=False)
    components_KC = (u_KC * scale_C)[:, :dim]
    rotation_DD = nn.init.orthogonal_(torch.empty(dim, dim))
    e_KD = components_KC @ rotation_DD[: components_KC.shape[1]]
    embedding.weight[: len(e_KD)] = e_KD / e_KD.std()


class Cale(nn.Module):
    """L layers of cross-attention from each group to its own tokens.

    ``p^0`` is the max over the group; the tokens ``h^0 = e`` stay as they are between layers, or
    with ``token_mixer: self`` attend to the whole utterance before each layer.
    """

    def __init__(self, config: LocalEncoderConfig, dim: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(CrossAttention(dim, config.heads) for _ in range(config.layers))
        self.feed_forwards = nn.ModuleList(
            FeedForward(dim, config.feed_forward, config.dropout)
            for _ in range(config.layers)
            if config.feed_forward
        )
        mixed = config.layers if config.token_mixer == "self" else 0
        self.mixers = nn.ModuleList(
            TokenMixer(dim, config.mixer_heads, config.dropout) for _ in range(mixed)
        )

    def forward(self, e_ND: Tensor, batch: PackedTokens, group_N: Tensor) -> Tensor:
        h_ND, p_GD = e_ND, group_max(e_ND, group_N, len(batch.group_sizes_G))
        for index, layer in enumerate(self.layers):
            if self.mixers:
                h_ND = self.mixers[index](h_ND, batch.num_tokens_B)
            p_GD = layer(p_GD, h_ND, group_N)
            if self.feed_forwards:
                p_GD = self.feed_forwards[index](p_GD)
        return p_GD


class CrossAttention(nn.Module):
    """One layer of section 3.4: ``p + W_O sum_i alpha_i v_i`` over the tokens i of the group.

    ``q = LayerNorm(W_Q p)``, ``k = LayerNorm(W_K h)``, ``v = LayerNorm(W_V h)``, and alpha is the
    softmax of ``q k / sqrt(d)`` within the group; d is the size of a head.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        if dim % heads:
            raise ValueError(f"dim {dim} is no multiple of {heads} heads")
        self.heads = heads
        self.query = nn.Sequential(nn.Linear(dim, dim, bias=False), nn.LayerNorm(dim))
        self.key = nn.Sequential(nn.Linear(dim, dim, bias=False), nn.LayerNorm(dim))
        self.value = nn.Sequential(nn.Linear(dim, dim, bias=False), nn.LayerNorm(dim))
        self.output = nn.Linear(dim, dim, bias=False)

    def forward(self, p_GD: Tensor, h_ND: Tensor, group_N: Tensor) -> Tensor:
        def split(x: Tensor) -> Tensor:
            return x.unflatten(-1, (self.heads, -1))

        q_NHd = split(self.query(p_GD)).index_select(0, group_N)
        k_NHd, v_NHd = split(self.key(h_ND)), split(self.value(h_ND))
        scores_NH = (q_NHd * k_NHd).sum(-1) / k_NHd.shape[-1] ** 0.5
        alpha_NH = group_softmax(scores_NH, group_N, len(p_GD))
        z_GD = group_sum((alpha_NH[..., None] * v_NHd).flatten(1), group_N, len(p_GD))
        return p_GD + self.output(z_GD)


class FeedForward(nn.Module):
    """``p + W_2 GELU(W_1 LayerNorm(p))``: what makes a Transformer block of cross-attention."""

    def __init__(self, dim: int, width: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.LayerNorm(dim),
            nn.Linear(dim, width),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(width, dim),
        )

    def forward(self, p_GD: Tensor) -> Tensor:
        return p_GD + self.layers(p_GD)


class MaxPool(nn.Module):
    """The maximum of each channel over the group, as in the paper's fixed windows."""

    def __init__(self, dim: int) -> None:
        super().__init__()

    def forward(self, e_ND: Tensor, batch: PackedTokens, group_N: Tensor) -> Tensor:
        return group_max(e_ND, group_N, len(batch.group_sizes_G))


class AveragePool(nn.Module):
    """The mean over the frames of the group: a token counts as often as its duration says."""

    def __init__(self, dim: int) -> None:
        super().__init__()

    def forward(self, e_ND: Tensor, batch: PackedTokens, group_N: Tensor) -> Tensor:
        frames_N1 = batch.durations_N[:, None].to(e_ND.dtype)
        groups = len(batch.group_sizes_G)
        return group_sum(e_ND * frames_N1, group_N, groups) / group_sum(frames_N1, group_N, groups)


class AttentionPool(nn.Module):
    """Weights from one learned query, the same for all groups: ``softmax(w^T tanh(W e))``."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.score = nn.Sequential(nn.Linear(dim, dim), nn.Tanh(), nn.Linear(dim, 1, bias=False))

    def forward(self, e_ND: Tensor, batch: PackedTokens, group_N: Tensor) -> Tensor:
        groups = len(batch.group_sizes_G)
        return group_sum(group_softmax(self.score(e_ND), group_N, groups) * e_ND, group_N, groups)


def group_sum(x_ND: Tensor, group_N: Tensor, groups: int) -> Tensor:
    """Sums over each group, (N, D) -> (G, D), in float32."""
    x_ND = x_ND.float() if x_ND.dtype in (torch.float16, torch.bfloat16) else x_ND
    return x_ND.new_zeros(groups, x_ND.shape[1]).index_add(0, group_N, x_ND)


def group_max(x_ND: Tensor, group_N: Tensor, groups: int) -> Tensor:
    """Maxima over each group, (N, D) -> (G, D); equal maxima share the gradient."""
    zeros_GD = x_ND.new_zeros(groups, x_ND.shape[1])
    index_ND = group_N[:, None].expand_as(x_ND)
    return zeros_GD.scatter_reduce(0, index_ND, x_ND, "amax", include_self=False)


def group_softmax(scores_NH: Tensor, group_N: Tensor, groups: int) -> Tensor:
    """Softmax over the tokens of each group, per column, in float32; same shape."""
    scores_NH = scores_NH.float() if scores_NH.dtype != torch.float64 else scores_NH
    largest_GH = group_max(scores_NH.detach(), group_N, groups)
    exp_NH = (scores_NH - largest_GH[group_N]).exp()
    return exp_NH / group_sum(exp_NH, group_N, groups)[group_N]


def _small_embedding(dim: int) -> nn.Embedding:
    """An embedding that is added to another; it starts small so as not to dominate that one."""
    embedding = nn.Embedding(LONGEST + 1, dim)
    nn.init.normal_(embedding.weight, std=0.1)
    return embedding
