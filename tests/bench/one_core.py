"""What one core does a second of the paper's two large models: HuBERT-base and the entropy LM.

    python tests/bench/one_core.py

Weights are random: they change nothing of the time. Seconds are the processor's, so that other work
on the machine counts for less.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torchaudio.models import hubert_base

from entcomp.artifacts.models import LMInfo
from entcomp.config import load_config
from entcomp.lm.config import LMConfig
from entcomp.lm.model import UnitLM
from entcomp.lm.score import BATCH_TOKENS, Scorer

CONF = Path(__file__).resolve().parents[2] / "conf/lm"
K, LAYER = 500, 9
SECONDS = 14.8  # of an utterance of MLS English
SAMPLE_RATE, FRAME_RATE = 16_000, 50
UTTERANCES = 4


def processor_seconds(work: Callable[[], object]) -> float:
    """Of the second call."""
    work()
    begin = time.process_time()
    work()
    return time.process_time() - begin


def hubert_times_real_time() -> float:
    model = hubert_base().eval()
    waveform = torch.randn(1, round(SECONDS * SAMPLE_RATE))
    with torch.inference_mode():
        took = processor_seconds(lambda: model.extract_features(waveform, num_layers=LAYER))
    return SECONDS / took


def units_scored(name: str) -> float:
    """Units a second of a config of conf/lm."""
    config = load_config(LMConfig, CONF / f"{name}.yaml")
    info = LMInfo("", "", "forward", "raw", K, {})
    device = torch.device("cpu")
    scorer = Scorer(UnitLM(config, K), config, info, device, BATCH_TOKENS["cpu"])
    generator = np.random.default_rng(0)
    length = round(SECONDS * FRAME_RATE)
    speech = [(str(i), generator.integers(0, K, length, np.int32)) for i in range(UTTERANCES)]
    return UTTERANCES * length / processor_seconds(lambda: list(scorer.score(speech)))


def main() -> None:
    torch.set_num_threads(1)
    print(f"HuBERT-base up to layer {LAYER}: {hubert_times_real_time():.1f} x real time")
    for name in ("paper", "small"):
        print(f"score-entropy, conf/lm/{name}.yaml: {units_scored(name):,.0f} units/s")


if __name__ == "__main__":
    main()
