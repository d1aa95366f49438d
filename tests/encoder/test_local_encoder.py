"""CALE and pooling over packed groups against a plain reference with a dense group mask."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from entcomp.encoder.local import CrossAttention, LocalEncoder, LocalEncoderConfig
from entcomp.encoder.mixer import attend
from entcomp.encoder.packed import PackedTokens, group_tokens, length_mask, pad, unpad

SIZES = [[1, 200, 3, 1, 17], [2], [40, 1, 1, 1, 60, 9, 9, 33]]  # groups of three utterances
DIM = 32


def packed(sizes: list[list[int]], num_tokens: int = 11) -> PackedTokens:
    generator = np.random.default_rng(0)
    utterances = []
    for groups in sizes:
        units = generator.integers(0, num_tokens, sum(groups)).astype(np.int32)
        utterances.append(group_tokens(units, np.array(groups, np.int32), merge_runs=False))
    return PackedTokens.pack(utterances)


def dense_mask(sizes_M: Tensor) -> Tensor:
    """(M, N) booleans: token n belongs to group m. What the packed code never builds."""
    ends = sizes_M.cumsum(0)[:, None]
    token = torch.arange(int(sizes_M.sum()))
    return (token < ends) & (token >= ends - sizes_M[:, None])


def dense_layer(layer: CrossAttention, p_MD: Tensor, h_ND: Tensor, mask_MN: Tensor) -> Tensor:
    """Section 3.4 for one utterance, head by head, over all pairs of groups and tokens."""
    q, k, v = layer.query(p_MD), layer.key(h_ND), layer.value(h_ND)
    heads = zip(*(x.chunk(layer.heads, dim=-1) for x in (q, k, v)), strict=True)
    z = []
    for q_head, k_head, v_head in heads:
        scores = q_head @ k_head.T / q_head.shape[-1] ** 0.5
        z.append(scores.masked_fill(~mask_MN, -torch.inf).softmax(-1) @ v_head)
    return p_MD + layer.output(torch.cat(z, dim=-1))


def dense_pool(model: LocalEncoder, e_ND: Tensor, sizes_M: Tensor) -> Tensor:
    mask_MN = dense_mask(sizes_M)
    kind = type(model.pool).__name__
    largest = e_ND.masked_fill(~mask_MN[..., None], -torch.inf).amax(1)
    if kind == "MaxPool":
        return largest
    if kind == "AveragePool":
        return (mask_MN / sizes_M[:, None]) @ e_ND
    if kind == "AttentionPool":
        scores_1N = model.pool.score(e_ND).T
        return (
            scores_1N.expand(len(mask_MN), -1).masked_fill(~mask_MN, -torch.inf).softmax(-1) @ e_ND
        )
    p_MD = largest
    for index, layer in enumerate(model.pool.layers):
        if model.pool.mixers:
            e_ND = model.pool.mixers[index](e_ND, torch.tensor([len(e_ND)]))
        p_MD = dense_layer(layer, p_MD, e_ND, mask_MN)
    return p_MD


def reference(model: LocalEncoder, batch: PackedTokens) -> Tensor:
    """Utterance by utterance, through dense masks."""
    tokens = batch.tokens_N.split(batch.num_tokens_B.tolist())
    sizes = batch.group_sizes_G.split(batch.num_groups_B.tolist())
    pairs = zip(tokens, sizes, strict=True)
    return torch.cat([dense_pool(model, model.embedding(one), groups) for one, groups in pairs])


@pytest.mark.parametrize(
    ("pooling", "mixer", "heads"),
    [
        *(("cale", mixer, heads) for mixer in ("none", "self") for heads in (1, 4)),
        *((pooling, "none", 1) for pooling in ("max", "average", "attention")),
    ],
)
def test_equals_dense_mask(pooling: str, mixer: str, heads: int) -> None:
    torch.manual_seed(0)
    config = LocalEncoderConfig(pooling=pooling, heads=heads, token_mixer=mixer)
    model, batch = LocalEncoder(config, 11, DIM), packed(SIZES)
    weights_GD = torch.randn(sum(map(len, SIZES)), DIM)
    values, gradients = [], []
    for compute in (model, lambda batch: reference(model, batch)):
        model.zero_grad()
        result_GD = compute(batch)
        (result_GD * weights_GD).sum().backward()
        values.append(result_GD)
        gradients.append({name: one.grad.clone() for name, one in model.named_parameters()})
    torch.testing.assert_close(values[0], values[1], atol=1e-5, rtol=1e-5)
    for name, found in gradients[0].items():
        expected = gradients[1][name]
        scale = max(float(expected.abs().max()), 1.0)
        assert (found - expected).abs().max() <= 1e-5 * scale, name


def test_literal_equations_by_hand() -> None:
    """One group of two tokens, one head, identity matrices: numbers from a pocket calculator."""
    layer = CrossAttention(2, heads=1)
    for linear in (layer.query[0], layer.key[0], layer.value[0], layer.output):
        torch.nn.init.eye_(linear.weight)
    p = torch.tensor([[2.0, 4.0]])  # LayerNorm: (-1, 1)
    h = torch.tensor([[1.0, 3.0], [5.0, 1.0]])  # LayerNorm: (-1, 1) and (1, -1)
    # scores 2/sqrt 2 and -2/sqrt 2; alpha = 1 / (1 + exp(-4/sqrt 2)) = 0.94419
    z = 2 * 0.944193 - 1
    expected = torch.tensor([[2.0 - z, 4.0 + z]])
    result = layer(p, h, torch.tensor([0, 0]))
    torch.testing.assert_close(result, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("mixer", ["none", "self"])
@pytest.mark.parametrize("pooling", ["cale", "max", "average", "attention"])
def test_an_utterance_does_not_depend_on_its_batch(pooling: str, mixer: str) -> None:
    torch.manual_seed(0)
    config = LocalEncoderConfig(
        pooling=pooling, token_mixer=mixer, position="intra", duration_embedding=True
    )
    model, batch = LocalEncoder(config, 11, DIM), packed(SIZES)
    together = model(batch).split(batch.num_groups_B.tolist())
    tokens = batch.tokens_N.split(batch.num_tokens_B.tolist())
    for one, groups, expected in zip(tokens, SIZES, together, strict=True):
        alone = group_tokens(one.numpy(), np.array(groups), merge_runs=False)
        torch.testing.assert_close(
            model(PackedTokens.pack([alone])), expected, atol=1e-5, rtol=1e-5
        )


def test_switches_change_what_they_say() -> None:
    """Order within a group counts only with positions; other groups only with the mixer."""
    groups = np.array([3, 2], np.int32)
    pairs = {
        "order": ([1, 2, 3, 4, 5], [3, 1, 2, 4, 5]),
        "others": ([1, 2, 3, 4, 5], [1, 2, 3, 6, 7]),
    }

    def first_group_differs(pair: str, **switches: object) -> bool:
        torch.manual_seed(0)
        model = LocalEncoder(LocalEncoderConfig(**switches), 11, DIM)  # type: ignore[arg-type]
        first, second = (
            model(PackedTokens.pack([group_tokens(np.array(one), groups, merge_runs=False)]))[0]
            for one in pairs[pair]
        )
        return not torch.allclose(first, second, atol=1e-5)

    assert not first_group_differs("order")
    assert first_group_differs("order", position="intra")
    assert not first_group_differs("others")
    assert first_group_differs("others", token_mixer="self")


def test_a_feed_forward_layer_makes_transformer_blocks_of_cale() -> None:
    """By hand after one layer of attention, and away by default."""
    torch.manual_seed(0)
    plain = LocalEncoder(LocalEncoderConfig(layers=1), 11, DIM)
    block = LocalEncoder(LocalEncoderConfig(layers=1, feed_forward=32), 11, DIM)
    block.load_state_dict(plain.state_dict(), strict=False)
    batch = packed(SIZES)
    norm, up, _, _, down = block.pool.feed_forwards[0].layers
    attended_GD = plain(batch)
    expected_GD = attended_GD + down(torch.nn.functional.gelu(up(norm(attended_GD))))
    torch.testing.assert_close(block(batch), expected_GD)
    assert not any("feed_forward" in name for name, _ in plain.pool.named_parameters())


def test_duration_embedding_tells_run_lengths_apart() -> None:
    def vectors(durations: bool) -> tuple[Tensor, Tensor]:
        torch.manual_seed(0)
        model = LocalEncoder(LocalEncoderConfig(duration_embedding=durations), 11, DIM)
        short, long = np.array([1, 1, 2]), np.array([1, 2, 2, 2])
        packs = [
            PackedTokens.pack([group_tokens(one, np.array([len(one)]), merge_runs=True)])
            for one in (short, long)
        ]
        return model(packs[0]), model(packs[1])

    assert torch.equal(*vectors(False))
    assert not torch.equal(*vectors(True))


runs = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4)), min_size=1, max_size=20)


@given(runs, st.data())
@settings(max_examples=50, deadline=None)
def test_merged_runs_keep_all_frames(pieces: list[tuple[int, int]], data: st.DataObject) -> None:
    units = np.concatenate([np.full(length, unit, np.int32) for unit, length in pieces])
    cuts = data.draw(st.sets(st.integers(1, len(units) - 1), max_size=8)) if len(units) > 1 else []
    groups = np.diff([0, *sorted(cuts), len(units)]).astype(np.int32)
    merged = group_tokens(units, groups, merge_runs=True)
    np.testing.assert_array_equal(np.repeat(merged.tokens, merged.durations), units)
    ends = np.cumsum(merged.durations)[np.cumsum(merged.group_sizes) - 1]
    np.testing.assert_array_equal(ends, np.cumsum(groups))
    within = np.repeat(np.arange(len(groups)), merged.group_sizes)
    same = (merged.tokens[1:] == merged.tokens[:-1]) & (within[1:] == within[:-1])
    assert not same.any()


def test_pad_and_unpad_are_inverse() -> None:
    lengths_B, x_ND = torch.tensor([2, 1, 4]), torch.arange(14.0).view(7, 2)
    padded_BTD = pad(x_ND, lengths_B)
    assert padded_BTD.shape == (3, 4, 2)
    assert (padded_BTD[~length_mask(lengths_B)] == 0).all()
    assert torch.equal(unpad(padded_BTD, lengths_B), x_ND)


def test_memory_does_not_grow_with_groups_times_tokens() -> None:
    """60,000 tokens in 30,000 groups: one dense float mask would take 7 GB."""
    batch = packed([[2] * 30_000])
    assert LocalEncoder(LocalEncoderConfig(layers=1), 11, 8)(batch).shape == (30_000, 8)


def test_half_precision_sums_are_float32() -> None:
    torch.manual_seed(0)
    model, batch = LocalEncoder(LocalEncoderConfig(), 11, DIM), packed(SIZES)
    with torch.autocast("cpu", torch.bfloat16):
        rough = model(batch)
    torch.testing.assert_close(rough.float(), model(batch), atol=0.1, rtol=0.05)


def test_attention_in_bfloat16_is_that_of_float32() -> None:
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 2, 4, 9, 8)
    mask_B11T = length_mask(torch.tensor([9, 5]))[:, None, None]
    rough = attend(q.bfloat16(), k.bfloat16(), v.bfloat16(), mask_B11T)
    torch.testing.assert_close(rough.float(), attend(q, k, v, mask_B11T), atol=0.05, rtol=0.05)


@pytest.mark.parametrize("dim", [8, 32])  # fewer and more than the centroids have
def test_embeddings_from_a_codebook_keep_its_distances(dim: int) -> None:
    torch.manual_seed(0)
    sources = torch.randn(4, 16)  # five variations of each of four sounds
    centroids = (sources[:, None] + 0.01 * torch.randn(4, 5, 16)).flatten(0, 1)
    model = LocalEncoder(LocalEncoderConfig(embedding="codebook"), num_tokens=21, dim=dim)
    mask = model.embedding.weight[20].clone()
    model.start_from_codebook(centroids)
    e_KD = model.embedding.weight[:20].detach()
    assert float(e_KD.std()) == pytest.approx(1.0)
    assert torch.equal(model.embedding.weight[20], mask)
    distances = torch.cdist(e_KD, e_KD)
    alike = torch.block_diag(*[torch.ones(5, 5)] * 4).bool()
    assert float(distances[alike].max()) < 0.1 * float(distances[~alike].min())
