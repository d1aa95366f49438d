"""Streaming and offline on real units; `streaming_decisions` as a command takes half a million."""

from __future__ import annotations

import numpy as np
from streaming_decisions import PROMPTS, RATES, Comparison, rules_of, shuffled

from entcomp.artifacts.packing import open_model
from entcomp.lm.onnx_lm import OnnxLM
from entcomp.pipelines.tokenizer import Tokenizer


def test_streaming_agrees_with_offline_within_1e_5_nats() -> None:
    """And decides alike, but for one decision of 24,000 at most. Units are of another codebook."""
    experiment = open_model().experiment
    lm = OnnxLM.open(experiment.lm())
    lines = (PROMPTS / "units.txt").read_text().splitlines()
    pieces = [np.array(line.split()[1:], np.int32) for line in lines]
    tokenizer = Tokenizer(experiment, experiment.units_info(), None, None)  # type: ignore[arg-type]
    comparison = Comparison()
    for units in shuffled(pieces, 6_000):
        comparison.add(lm, units, rules_of(tokenizer))
    assert comparison.units == 6_000
    assert 0 < comparison.apart < 1e-5
    assert list(comparison.differing) == list(RATES)
    assert sum(comparison.differing.values()) <= 1
