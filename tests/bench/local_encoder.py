"""CALE over packed groups against the same layers with a dense mask, 750 tokens an utterance."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from timing import seconds
from torch import Tensor, nn

from entcomp.encoder.local import Cale, CrossAttention, LocalEncoder, LocalEncoderConfig
from entcomp.encoder.packed import PackedTokens, group_tokens

UTTERANCES, TOKENS, GROUPS, DIM = 8, 750, 225, 256  # 15 s at 50 Hz, 15 groups a second
REPEATS = 7


def compare_pooling(device: torch.device) -> dict[str, float]:
    """Tokens a second, forward and backward, after a check that both give the same vectors."""
    torch.manual_seed(0)
    generator = np.random.default_rng(0)
    utterances = []
    for _ in range(UTTERANCES):
        cuts = np.sort(generator.choice(np.arange(1, TOKENS), GROUPS - 1, replace=False))
        groups = np.diff([0, *cuts, TOKENS])
        utterances.append(group_tokens(generator.integers(0, 500, TOKENS), groups, False))
    batch = PackedTokens.pack(utterances).to(device)
    model = LocalEncoder(LocalEncoderConfig(), 500, DIM).to(device)
    torch.testing.assert_close(model(batch), dense(model, batch), atol=1e-4, rtol=1e-4)
    paths = {"ours": lambda: model(batch), "dense mask": lambda: dense(model, batch)}
    return {name: TOKENS * UTTERANCES / _step(path, device) for name, path in paths.items()}


def _step(vectors: Callable[[], Tensor], device: torch.device) -> float:
    return seconds(lambda: vectors().sum().backward(), device, REPEATS)


def dense(model: LocalEncoder, batch: PackedTokens) -> Tensor:
    """The same model, all utterances at once, each group against each token under a mask."""
    ends_BM1 = batch.group_sizes_G.view(UTTERANCES, -1).cumsum(1)[..., None]
    starts_BM1 = ends_BM1 - batch.group_sizes_G.view(UTTERANCES, -1)[..., None]
    token_N = torch.arange(TOKENS, device=ends_BM1.device)
    mask_BMN = (token_N < ends_BM1) & (token_N >= starts_BM1)
    e_BND = model.embedding(batch.tokens_N).view(UTTERANCES, TOKENS, DIM)
    pool, p_GD = model.pool, LocalEncoder.forward(_max_only(model), batch)
    assert isinstance(pool, Cale)
    p_BMD = p_GD.view(UTTERANCES, -1, DIM)
    for layer in pool.layers:
        assert isinstance(layer, CrossAttention)
        q, k, v = layer.query(p_BMD), layer.key(e_BND), layer.value(e_BND)
        z = nn.functional.scaled_dot_product_attention(q, k, v, mask_BMN)
        p_BMD = p_BMD + layer.output(z)
    return p_BMD.flatten(0, 1)


def _max_only(model: LocalEncoder) -> LocalEncoder:
    other = LocalEncoder(LocalEncoderConfig(pooling="max"), 500, DIM)
    other.embedding = model.embedding
    return other
