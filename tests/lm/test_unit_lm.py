"""The model: known answers, causality, no leaks, and the same function as transformers' Llama."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from lm_toys import K, small_config
from tiny_lm import random_lm

from entcomp.config import load_config
from entcomp.lm.config import LMConfig
from entcomp.lm.model import UnitLM, entropies
from entcomp.lm.packed import Packed
from entcomp.lm.spans import read_and_predict


def pack(sequences: list[np.ndarray]) -> Packed:
    pieces = [read_and_predict(units, K, 0, len(units)) for units in sequences]
    return Packed.pack(*zip(*pieces, strict=True))


def random_units(*lengths: int, seed: int = 0) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [random.integers(0, K, length) for length in lengths]


def test_entropy_of_known_distributions() -> None:
    logits = torch.full((4, 8), -math.inf)
    logits[0] = 3.0  # uniform over 8
    logits[1, 2] = 0.0  # certain; the others are impossible
    logits[2, :4] = 5.0  # uniform over 4
    logits[3, :2] = torch.tensor([math.log(0.9), math.log(0.1)])
    logits[1:][logits[1:] == -math.inf] = -1e4
    expected = [math.log(8), 0.0, math.log(4), -0.9 * math.log(0.9) - 0.1 * math.log(0.1)]
    assert entropies(logits).tolist() == pytest.approx(expected, abs=1e-6)


def test_entropy_is_float32_whatever_the_logits_are() -> None:
    assert entropies(torch.zeros(3, K, dtype=torch.bfloat16)).dtype == torch.float32


def test_an_untrained_lm_knows_nothing() -> None:
    """The head starts at zero: every distribution is uniform, every entropy ln K."""
    model = UnitLM(small_config(), K).eval()
    packed = pack(random_units(5, 9))
    assert torch.allclose(entropies(model(packed)), torch.tensor(math.log(K)))
    assert model.loss(packed)["loss"].item() == pytest.approx(math.log(K))


def test_an_lm_with_known_logits_has_the_known_entropy() -> None:
    """Blocks that add nothing, and a head that copies: the entropies follow by hand.

    The embedding of unit u is 100 e_u; normed it is sqrt(dim) e_u, so unit u gives the logits
    ``sqrt(dim) * head[:, u]``.
    """
    config = small_config(layers=1)
    model = UnitLM(config, K).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1:
                parameter.zero_()
            assert parameter.ndim > 1 or "norm" in name
        model.embedding.weight[:, : K + 1] = 100 * torch.eye(K + 1)
        model.head.weight[3, 7] = math.log(4 * (K - 1)) / math.sqrt(config.dim)
    # After 7, unit 3 has probability 0.8 and the others share the rest; else all is uniform.
    share = 0.2 / (K - 1)
    after_seven = -0.8 * math.log(0.8) - 0.2 * math.log(share)
    found = entropies(model(pack([np.array([7, 3, 7, 7, 5])])))
    uniform = math.log(K)
    expected = [uniform, after_seven, uniform, after_seven, after_seven]
    assert found.tolist() == pytest.approx(expected, abs=1e-4)


def test_later_units_change_no_earlier_entropy() -> None:
    model = random_lm(small_config())
    units = random_units(30)[0]
    changed = units.copy()
    changed[20:] = (changed[20:] + 7) % K
    first, second = (entropies(model(pack([one]))) for one in (units, changed))
    # Entropy i depends on units before i: unit 20 first shows at 21.
    assert torch.equal(first[:21], second[:21])
    assert (first[21:] - second[21:]).abs().min() > 1e-6


def test_packed_sequences_do_not_see_each_other() -> None:
    model = random_lm(small_config())
    one, two, three = random_units(30, 7, 29)
    together = entropies(model(pack([one, two, three])))
    other = entropies(model(pack([(one + 3) % K, two, (three + 5) % K])))
    alone = entropies(model(pack([two])))
    torch.testing.assert_close(together[30:37], alone, atol=1e-5, rtol=0)
    torch.testing.assert_close(other[30:37], together[30:37], atol=1e-5, rtol=0)


@pytest.mark.parametrize("lengths", [(1,), (1, 1), (5, 64, 64, 3, 40, 1, 17)])
def test_blocks_lay_out_every_token_once(lengths: tuple[int, ...]) -> None:
    packed = pack(random_units(*lengths))
    total = sum(lengths)
    assert packed.gather_S[packed.scatter_T].tolist() == list(range(total))
    assert len(packed.gather_S) == sum(count * longest for count, longest in packed.blocks)
    assert sum(count for count, _ in packed.blocks) == len(lengths)
    assert packed.positions_T.tolist() == [i for length in lengths for i in range(length)]
    assert packed.longest >= max(lengths)


def test_gradients_do_not_depend_on_the_order_of_packing() -> None:
    config = small_config(dropout=0.0)
    sequences = random_units(50, 3, 20, 49)
    gradients = []
    for order in ([0, 1, 2, 3], [2, 0, 3, 1]):
        model = random_lm(config)
        model.loss(pack([sequences[index] for index in order]))["loss"].backward()
        gradients.append([parameter.grad for parameter in model.parameters()])
    for first, second in zip(*gradients, strict=True):
        torch.testing.assert_close(first, second, atol=1e-5, rtol=1e-4)


def test_same_function_as_transformers_llama() -> None:
    import transformers

    config = small_config()
    model = random_lm(config, scale=0.2)
    llama = transformers.LlamaForCausalLM(llama_config(config, K)).eval()
    llama.load_state_dict(llama_weights(model))
    units = random_units(40)[0]
    packed = pack([units])
    with torch.no_grad():
        ours = model(packed)
        theirs = llama(packed.inputs_T[None]).logits[0, :, :K]
    torch.testing.assert_close(ours, theirs, atol=2e-4, rtol=1e-4)


def llama_config(config: LMConfig, num_clusters: int) -> object:
    import transformers

    return transformers.LlamaConfig(
        vocab_size=num_clusters + 1,
        hidden_size=config.dim,
        intermediate_size=config.ffn_dim,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        max_position_embeddings=config.context,
        rms_norm_eps=1e-5,
        tie_word_embeddings=False,
    )


def llama_weights(model: UnitLM) -> dict[str, torch.Tensor]:
    """Our weights under transformers' names; its head has an output for BOS, too."""
    weights = {
        "model.embed_tokens.weight": model.embedding.weight,
        "model.norm.weight": model.norm.weight,
        "lm_head.weight": torch.cat([model.head.weight, torch.zeros(1, model.head.in_features)]),
    }
    for index, block in enumerate(model.blocks):
        layer = f"model.layers.{index}."
        projections = block.attention.qkv.weight.chunk(3)
        for name, projection in zip("qkv", projections, strict=True):
            weights[f"{layer}self_attn.{name}_proj.weight"] = projection
        weights[f"{layer}self_attn.o_proj.weight"] = block.attention.output.weight
        gate, up = block.ffn.gate_up.weight.chunk(2)
        weights[f"{layer}mlp.gate_proj.weight"] = gate
        weights[f"{layer}mlp.up_proj.weight"] = up
        weights[f"{layer}mlp.down_proj.weight"] = block.ffn.down.weight
        weights[f"{layer}input_layernorm.weight"] = block.attention_norm.weight
        weights[f"{layer}post_attention_layernorm.weight"] = block.ffn_norm.weight
    return weights


def test_the_papers_model_has_its_size(repository: Path) -> None:
    config = load_config(LMConfig, repository / "conf" / "lm" / "paper.yaml")
    with torch.device("meta"):
        model = UnitLM(config, num_clusters=500)
    assert sum(one.numel() for one in model.parameters()) == pytest.approx(104e6, rel=0.01)


def test_the_small_model_is_the_default_one(repository: Path) -> None:
    config = load_config(LMConfig, repository / "conf" / "lm" / "small.yaml")
    assert config == LMConfig()
    model = UnitLM(config, num_clusters=500)
    assert 1e6 < sum(one.numel() for one in model.parameters()) < 2.5e6
