"""CALE beside a dense mask; `gpu.py` here does it on a GPU, too."""

from __future__ import annotations

import pytest
import torch
from local_encoder import TOKENS, compare_pooling


@pytest.mark.bench
def test_faster_than_dense_mask(capsys: pytest.CaptureFixture[str]) -> None:
    rates = compare_pooling(torch.device("cpu"))
    ratio = rates["ours"] / rates["dense mask"]
    with capsys.disabled():
        print(f"\nCALE, {TOKENS} tokens an utterance, forward and backward: {ratio:.2f} x as fast")
    assert ratio > 1
