"""Entropies of units that arrive one by one: those of offline scoring, in constant memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_lm import make_lm, small_config, speech_like

from entcomp.errors import EntcompError
from entcomp.lm.onnx_lm import OnnxLM
from entcomp.lm.streaming import StreamingScorer

TOLERANCE = 1e-5  # nats


@pytest.fixture(scope="module")
def lm(tmp_path_factory: pytest.TempPathFactory) -> OnnxLM:
    return make_lm(tmp_path_factory.mktemp("lm"), small_config(context=16, score_overlap=6))


@pytest.mark.parametrize("lm_units", ["raw", "dedup"])
@pytest.mark.parametrize(("context", "overlap"), [(64, 24), (64, 63), (64, 0), (8, 3), (2, 1)])
def test_equals_offline_scoring(tmp_path: Path, lm_units: str, context: int, overlap: int) -> None:
    """Below, at and beyond the context, where spans overlap."""
    config = small_config(lm_units=lm_units, context=context, score_overlap=overlap)
    lm = make_lm(tmp_path, config)
    for length in (1, 2, 63, 64, 65, 66, 400):
        units = speech_like(length, length)
        expected = lm.score(units)
        found = StreamingScorer(lm).push(units)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)
        assert np.isnan(found).any() == (lm_units == "dedup" and bool((np.diff(units) == 0).any()))


@settings(max_examples=30, deadline=None)
@given(pushes=st.lists(st.lists(st.integers(0, 19), max_size=9), max_size=9))
def test_in_pushes_of_any_size(lm: OnnxLM, pushes: list[list[int]]) -> None:
    stream = StreamingScorer(lm)
    found = [entropy for units in pushes for entropy in stream.push(units)]
    expected = StreamingScorer(lm).push(unit for units in pushes for unit in units)
    np.testing.assert_array_equal(np.float32(found), expected)


def test_streams_of_one_lm_do_not_disturb_each_other(lm: OnnxLM) -> None:
    utterances = [speech_like(40, seed) for seed in range(3)]
    streams = [StreamingScorer(lm) for _ in utterances]
    found = np.array(
        [
            [stream.push([unit])[0] for stream, unit in zip(streams, row, strict=True)]
            for row in zip(*utterances, strict=True)
        ]
    )
    for column, units in enumerate(utterances):
        np.testing.assert_array_equal(found[:, column], StreamingScorer(lm).push(units))


def test_the_cache_is_as_long_as_the_context_at_most(lm: OnnxLM) -> None:
    stream, lengths = StreamingScorer(lm), set()
    for unit in speech_like(100, 0):
        stream.push([unit])
        lengths |= {one.shape[1] for one in stream._cache.values()}
    assert max(lengths) == 16
    assert len(stream._recent) == 7


def test_refusals(tmp_path: Path, lm: OnnxLM) -> None:
    with pytest.raises(EntcompError, match="it cannot stream"):
        StreamingScorer(make_lm(tmp_path, small_config(direction="backward")))
    for unit in (-1, 20):
        with pytest.raises(EntcompError, match=rf"unit {unit} is not one of 0\.\.19"):
            StreamingScorer(lm).push([unit])
