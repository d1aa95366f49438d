"""CALE over packed groups against the same layers with a dense mask, 750 tokens an utterance."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from entcomp.encoder.local import Cale, CrossAttention, LocalEncoder, LocalEncoderConfig
from entcomp.encoder.packed import PackedTokens, group_tokens

UTTERANCES, TOKENS, GROUPS, DIM = 8, 750, 225, 256  # 15 s at 50 Hz, 15 groups a second


def dense(model: LocalEncoder, batch: PackedTokens) -> Tensor:
    """The same model, all utterances at once, each group against each token under a mask."""
    ends_BM1 = batch.group_sizes_G.view(UTTERANCES, -1).cumsum(1)[..., None]
    starts_BM1 = ends_BM1 - batch.group_sizes_G.view(UTTERANCES, -1)[..., None]
    token_N = torch.arange(TOKENS)
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
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        compute().sum().backward()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


@pytest.mark.bench
def test_faster_than_dense_mask(capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(0)
    generator = np.random.default_rng(0)
    utterances = []
    for _ in range(UTTERANCES):
        cuts = np.sort(generator.choice(np.arange(1, TOKENS), GROUPS - 1, replace=False))
        groups = np.diff([0, *cuts, TOKENS])
        utterances.append(group_tokens(generator.integers(0, 500, TOKENS), groups, False))
    batch, model = PackedTokens.pack(utterances), LocalEncoder(LocalEncoderConfig(), 500, DIM)
    torch.testing.assert_close(model(batch), dense(model, batch), atol=1e-4, rtol=1e-4)
    ratio = seconds(lambda: dense(model, batch)) / seconds(lambda: model(batch))
    with capsys.disabled():
        print(f"\nCALE, {TOKENS} tokens an utterance, forward and backward: {ratio:.2f} x as fast")
    assert ratio > 1
