"""score-entropy beside transformers' Llama; `score_entropy.py` here does it on a GPU, too."""

from __future__ import annotations

import pytest
import torch
from score_entropy import compare_scoring, compare_training, describe

from entcomp.lm.config import LMConfig


@pytest.mark.bench
def test_scoring_is_faster_than_llama(capsys: pytest.CaptureFixture[str]) -> None:
    rates = compare_scoring(LMConfig(), torch.device("cpu"))
    with capsys.disabled():
        print("\n" + describe("score-entropy", rates))
    assert rates["ours"] > rates["padded"] and rates["ours"] > rates["one by one"]


@pytest.mark.bench
def test_a_training_step_is_no_slower_than_llamas(capsys: pytest.CaptureFixture[str]) -> None:
    rates = compare_training(LMConfig(), torch.device("cpu"))
    with capsys.disabled():
        print("\n" + describe("training step", rates))
    assert rates["ours"] > 0.9 * rates["llama"]
