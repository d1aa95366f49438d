"""Units a second of scoring and of training, beside transformers' Llama of the same size.

    python tests/bench/score_entropy.py --device cuda --size paper

Both run in one process, on the same units and device, in bfloat16 on a GPU and float32 on a CPU;
times are medians after a warm-up. Ours is what score-entropy and train-lm call.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from timing import seconds
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM

from entcomp.artifacts.models import LMInfo
from entcomp.config import load_config
from entcomp.lm.batches import TrainRows
from entcomp.lm.config import LMConfig
from entcomp.lm.corpus import Corpus
from entcomp.lm.model import UnitLM, entropies
from entcomp.lm.score import BATCH_TOKENS, Scorer

K = 500
CONF = Path(__file__).resolve().parents[2] / "conf" / "lm"
# Per device: utterances, their shortest and longest (units), utterances in a padded batch, repeats.
WORK = {"cpu": (160, 20, 200, 16, 3), "cuda": (2000, 500, 1000, 64, 5)}


def llama(config: LMConfig) -> LlamaForCausalLM:
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=K + 1,
            hidden_size=config.dim,
            intermediate_size=config.ffn_dim,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            max_position_embeddings=config.context,
        )
    )


@torch.inference_mode()
def score_padded(
    model: LlamaForCausalLM, utterances: Iterable[list[np.ndarray]], device: torch.device
) -> list[np.ndarray]:
    """Batches as they come, padded to their longest utterance."""
    found = []
    for batch in utterances:
        longest = max(map(len, batch))
        ids = torch.full((len(batch), longest), K)
        mask = torch.zeros((len(batch), longest), dtype=torch.long)
        for row, units in enumerate(batch):
            ids[row, 1 : len(units)] = torch.from_numpy(units[:-1].astype(np.int64))
            mask[row, : len(units)] = 1
        logits = model(ids.to(device), attention_mask=mask.to(device), use_cache=False).logits
        rows = entropies(logits[..., :K]).cpu().numpy()
        found += [row[: len(units)] for row, units in zip(rows, batch, strict=True)]
    return found


def compare_scoring(config: LMConfig, device: torch.device) -> dict[str, float]:
    """Units a second of ours, and of Llama padded and one by one."""
    count, shortest, longest, rows, repeats = WORK[device.type]
    random = np.random.default_rng(0)
    units = [
        random.integers(0, K, random.integers(shortest, longest + 1)).astype(np.int32)
        for _ in range(count)
    ]
    named = [(f"{index:05d}", one) for index, one in enumerate(units)]
    total = sum(map(len, units))
    precision = "bfloat16" if device.type == "cuda" else "float32"
    info = LMInfo("", "", "forward", "raw", K, {})
    model = UnitLM(config, K)
    scorer = Scorer(model, config, info, device, BATCH_TOKENS[device.type], precision)
    peer = llama(config).to(device, next(model.parameters()).dtype).eval()
    batches = [units[first : first + rows] for first in range(0, count, rows)]
    some = units[: count // 8]
    return {
        "ours": total / seconds(lambda: list(scorer.score(named)), device, repeats),
        "padded": total / seconds(lambda: score_padded(peer, batches, device), device, repeats),
        "one by one": sum(map(len, some))
        / seconds(lambda: score_padded(peer, [[one] for one in some], device), device, repeats),
    }


def compare_training(config: LMConfig, device: torch.device) -> dict[str, float]:
    """Units a second of a whole step: forward, backward, AdamW."""
    random = np.random.default_rng(0)
    lengths = random.integers(*WORK[device.type][1:3], 2000)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    corpus = Corpus(random.integers(0, K, offsets[-1]).astype(np.uint16), offsets, "")
    rows = TrainRows(corpus, config, K)
    repeats = WORK[device.type][-1]
    ids = torch.randint(0, K, (config.rows_per_batch, config.context), device=device)
    model, peer = UnitLM(config, K).to(device), llama(config).to(device)
    if device.type == "cuda":
        model.compile()
    # The first steps compile, for one number of sequences and then for any.
    steps = iter(range(1_000_000))
    ours = _stepper(model, lambda: model.loss(rows.batch(next(steps)).to(device))["loss"])
    theirs = _stepper(peer, lambda: peer(ids, labels=ids, use_cache=False).loss)
    for _ in range(4 if device.type == "cuda" else 0):
        ours(device)
    return {
        "ours": ids.numel() / seconds(lambda: ours(device), device, repeats),
        "llama": ids.numel() / seconds(lambda: theirs(device), device, repeats),
    }


def _stepper(model: nn.Module, loss: Callable[[], Tensor]) -> Callable[[torch.device], None]:
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)

    def step(device: torch.device) -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            value = loss()
        value.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def describe(title: str, rates: dict[str, float]) -> str:
    """One line: units a second, and how many times as fast as each peer ours is."""
    peers = (f"{name} {rate:,.0f} (x {rates['ours'] / rate:.2f})" for name, rate in rates.items())
    return f"{title}, units a second: " + ", ".join(peers)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--size", default="small", choices=["small", "paper"])
    arguments = parser.parse_args()
    config = load_config(LMConfig, CONF / f"{arguments.size}.yaml")
    device = torch.device(arguments.device)
    print(f"{arguments.size} LM on {arguments.device}, torch {torch.__version__}")
    print(describe("score-entropy", compare_scoring(config, device)), flush=True)
    print(describe("training step", compare_training(config, device)), flush=True)


if __name__ == "__main__":
    main()
