"""Entropies: the same alone and in any batch, in chunks, backward, and of deduplicated units."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lm_toys import K, scorer_of, small_config, utterances
from tiny_lm import random_lm

from entcomp.artifacts.runs import run_starts
from entcomp.errors import EntcompError
from entcomp.lm.config import LMConfig
from entcomp.lm.model import UnitLM, entropies
from entcomp.lm.packed import Packed
from entcomp.lm.spans import read_and_predict, spans_of

LENGTHS = [5, 64, 1, 30, 65, 2, 200, 17, 64, 129, 40, 3]


def score(config: LMConfig, model: UnitLM, found: list, batch_tokens: int = 256) -> dict:
    return dict(scorer_of(model, config, batch_tokens).score(found))


def read_alone(model: UnitLM, ordered: np.ndarray) -> np.ndarray:
    """One sequence through the model, without anything of the scorer."""
    packed = Packed.pack(*([one] for one in read_and_predict(ordered, K, 0, len(ordered))))
    with torch.no_grad():
        return entropies(model(packed)).numpy()


@pytest.mark.parametrize("lm_units", ["raw", "dedup"])
@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_the_same_alone_and_in_any_batch_and_order(direction: str, lm_units: str) -> None:
    config = small_config(direction=direction, lm_units=lm_units)
    model = random_lm(config)
    found = utterances(LENGTHS)
    alone = {one[0]: score(config, model, [one])[one[0]] for one in found}
    for batch_tokens in (1, 70, 1000):
        for order in (found, found[::-1]):
            batched = score(config, model, order, batch_tokens)
            assert list(batched) == [utt_id for utt_id, _ in order]
            for utt_id, entropy in batched.items():
                assert entropy.dtype == np.float32
                np.testing.assert_allclose(entropy, alone[utt_id], atol=1e-5, rtol=0)


def test_an_utterance_is_scored_as_the_model_reads_it() -> None:
    config = small_config()
    model = random_lm(config)
    ((utt_id, units),) = utterances([50])
    expected = read_alone(model, units)
    np.testing.assert_allclose(score(config, model, [(utt_id, units)])[utt_id], expected, atol=1e-5)


def test_backward_entropy_stands_at_the_unit_that_it_is_of() -> None:
    config = small_config(direction="backward")
    model = random_lm(config)
    ((utt_id, units),) = utterances([50])
    expected = read_alone(model, units[::-1])[::-1]
    found = score(config, model, [(utt_id, units)])[utt_id]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    # The last unit is the first that is read: its entropy depends on nothing.
    other = score(config, model, [(utt_id, (units + 3) % K)])[utt_id]
    assert found[-1] == pytest.approx(other[-1], abs=1e-6) and found[0] != other[0]


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_dedup_has_nan_at_repeats_in_both_directions(direction: str) -> None:
    config = small_config(lm_units="dedup", direction=direction)
    model = random_lm(config)
    units = np.array([3, 3, 3, 5, 1, 1, 3, 3], np.int32)
    found = score(config, model, [("u", units)])["u"]
    assert np.isnan(found).tolist() == [False, True, True, False, False, True, False, True]
    runs = np.array([3, 5, 1, 3])
    ordered = runs if direction == "forward" else runs[::-1]
    expected = read_alone(model, ordered)
    expected = expected if direction == "forward" else expected[::-1]
    np.testing.assert_allclose(found[run_starts(units)], expected, atol=1e-5)


def test_long_utterances_are_read_in_chunks_that_overlap() -> None:
    config = small_config(context=16, score_overlap=6)
    model = random_lm(config)
    ((utt_id, units),) = utterances([37])
    found = score(config, model, [(utt_id, units)])[utt_id]
    # By hand: 0..16; from 10, of which 16..26 are kept; from 20, of which 26..36; from 30, 36.
    expected = np.zeros(37, np.float32)
    for start, keep, stop in ((0, 0, 16), (10, 16, 26), (20, 26, 36), (30, 36, 37)):
        read, predict = read_and_predict(units, K, start, stop)
        with torch.no_grad():
            expected[keep:stop] = entropies(model(Packed.pack([read], [predict])))[keep - start :]
    np.testing.assert_allclose(found, expected, atol=1e-5)


@settings(max_examples=200, deadline=None)
@given(length=st.integers(1, 500), context=st.integers(2, 50), data=st.data())
def test_spans_cover_every_unit_once_with_the_stated_overlap(
    length: int, context: int, data: st.DataObject
) -> None:
    overlap = data.draw(st.integers(0, context - 1))
    spans = spans_of(length, context, overlap)
    kept = [unit for span in spans for unit in range(span.keep_from, span.stop)]
    assert kept == list(range(length))
    assert all(span.start >= 0 and span.stop - span.start <= context for span in spans)
    assert all(span.keep_from - span.start == overlap for span in spans[1:])
    assert (spans[0].start, spans[0].keep_from) == (0, 0)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_bfloat16_needs_a_gpu() -> None:
    config = small_config()
    with pytest.raises(EntcompError, match="--precision bfloat16: needs a GPU"):
        type(scorer_of(random_lm(config), config))(
            random_lm(config), config, None, torch.device("cpu"), 256, "bfloat16"
        )


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_unpadded_attention_on_a_gpu_agrees_with_padded_blocks() -> None:
    config = small_config(dim=128)
    model = random_lm(config, scale=0.1).cuda()
    pieces = [read_and_predict(units, K, 0, len(units)) for _, units in utterances(LENGTHS[:6])]
    packed = Packed.pack(*zip(*pieces, strict=True)).to("cuda")
    with torch.no_grad():
        expected = entropies(model(packed))
        with torch.autocast("cuda", torch.bfloat16):
            found = entropies(model(packed))
    torch.testing.assert_close(found, expected, atol=0.05, rtol=0)
