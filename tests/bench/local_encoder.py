"""CALE over packed groups against the same layers with a dense mask, 750 tokens an utterance."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from entcomp.encoder.local import Cale, CrossAttention, LocalEncoder, LocalEncoderConfig
from entcomp.encoder.packed import PackedTokens, group_tokens

UTTERANCES, TOKENS, GROUPS, DIM = 8, 750, 225, 256  # 15 s at 50 Hz, 15 groups a second


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
    return {
        "ours": UTTERANCES * TOKENS / seconds(lambda: model(batch)),
        "dense mask": UTTERANCES * TOKENS / seconds(lambda: dense(model, batch)),
    }


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


def seconds(compute: Callable[[], Tensor], repeats: int = 7) -> float:
    """The median of several times, after a first one that is not counted."""
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        compute().sum().backward()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return float(np.median(times[1:]))
