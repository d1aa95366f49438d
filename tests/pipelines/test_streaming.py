"""Streaming decides as offline does: the rule and the LM, bit for bit."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_pipeline import RATE, babble, make_pipeline

from entcomp import StreamingTokenizer, Tokenizer
from entcomp.artifacts.models import LMInfo
from entcomp.errors import EntcompError
from entcomp.lm import score
from entcomp.lm.config import LMConfig
from entcomp.lm.model import UnitLM
from entcomp.lm.score import Scorer
from entcomp.lm.streaming import MARGIN, StreamingScorer
from entcomp.segmentation.rows import Rows
from entcomp.segmentation.rule import Rule, group_starts
from entcomp.segmentation.streaming import StreamingGroups

RULES = {
    "global": Rule("global", theta_g=1.0),
    "relative": Rule("relative", theta_r=0.25),
    "combined": Rule("combined", theta_g=1.0, theta_r=0.25),
    "peak": Rule("peak", theta_g=0.5),
}


def offline(entropies: np.ndarray, rule: Rule) -> list[int]:
    rows = Rows.join([("", entropies, None)])
    ((_, groups),) = rows.split(group_starts(rows, rule))
    return groups.tolist()


def some_lm(config: LMConfig, clusters: int) -> UnitLM:
    """Random weights, and entropies that differ from each other."""
    torch.manual_seed(0)
    model = UnitLM(config, clusters)
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.3)
    return model.eval()


def scorer_of(config: LMConfig, clusters: int, precision: str = "float64") -> Scorer:
    info = LMInfo("lm", "codebook", config.direction, config.lm_units, clusters, {})
    model = some_lm(config, clusters)
    return Scorer(model, config, info, torch.device("cpu"), 500, precision)  # type: ignore[arg-type]


def small_config(**values: object) -> LMConfig:
    small = {"layers": 2, "dim": 32, "heads": 2, "ffn_dim": 64, "context": 64, "score_overlap": 24}
    return LMConfig.model_validate(small | values)


def speech_like(length: int, seed: int, clusters: int = 20) -> np.ndarray:
    generator = np.random.default_rng(seed)
    runs = generator.geometric(0.45, length)
    return np.repeat(generator.integers(0, clusters, length), runs)[:length].astype(np.int32)


@given(
    st.lists(st.sampled_from([0.0, 0.5, 0.75, 1.0, 1.25, 2.0, float("nan")]), min_size=1),
    st.sampled_from(sorted(RULES)),
    st.integers(1, 4),
    st.none() | st.integers(4, 7),
    st.integers(1, 5),
)
def test_the_rule_is_the_same(values, criterion, min_length, max_length, step) -> None:
    """With ties, repeats without a prediction, and limits on the length; in pushes of any size."""
    entropies = np.array([1.0, *values], np.float32)
    names = {name: getattr(RULES[criterion], name) for name in ("theta_g", "theta_r")}
    rule = Rule(criterion, **names, min_length=min_length, max_length=max_length)
    stream = StreamingGroups(rule)
    found: list[int] = []
    for begin in range(0, len(entropies), step):
        found += stream.push(entropies[begin : begin + step])
    assert found + stream.finish() == offline(entropies, rule)


@pytest.mark.parametrize("criterion", sorted(RULES))
def test_as_soon_as_it_is_certain(criterion: str) -> None:
    """Unit i ends the group before it when it arrives; for peak, one unit later."""
    entropies = np.random.default_rng(0).uniform(0, 2, 300).astype(np.float32)
    stream, done = StreamingGroups(RULES[criterion]), 0
    ends = np.cumsum(offline(entropies, RULES[criterion]))[:-1]
    for index in range(len(entropies)):
        done += len(stream.push(entropies[index : index + 1]))
        due = index - 1 if criterion == "peak" else index
        assert done == np.count_nonzero(ends <= due)
    assert len(stream.finish()) == len(ends) + 1 - done


@pytest.mark.parametrize("lm_units", ["raw", "dedup"])
@pytest.mark.parametrize(("context", "overlap"), [(64, 24), (64, 63), (64, 0), (8, 3)])
def test_the_lm_is_the_same_bit_for_bit(lm_units: str, context: int, overlap: int) -> None:
    """Below, at and beyond the context, where spans overlap."""
    config = small_config(lm_units=lm_units, context=context, score_overlap=overlap)
    scorer = scorer_of(config, 20)
    for length in (1, 2, 63, 64, 65, 66, 400):
        units = speech_like(length, length)
        ((_, expected),) = scorer.score([("a", units)])
        found = StreamingScorer(scorer.model, config).push(units)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("lm_units", ["raw", "dedup"])
@pytest.mark.parametrize(("context", "overlap"), [(64, 24), (64, 0), (16, 15)])
def test_where_rounding_turns_offline_has_the_bits_of_streaming(
    lm_units: str, context: int, overlap: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With errors so large that many an entropy would be rounded to another float32."""
    config = small_config(lm_units=lm_units, context=context, score_overlap=overlap)
    scorer, units = scorer_of(config, 20), speech_like(300, 1)
    expected = StreamingScorer(scorer.model, config).push(units)
    launch, generator = scorer._launch, torch.Generator().manual_seed(0)

    def inexact(*values: object) -> torch.Tensor:
        exact = launch(*values)  # type: ignore[arg-type]
        noise = torch.rand(exact.shape, generator=generator, dtype=exact.dtype)
        return exact + 5e-8 * (2 * noise - 1)

    monkeypatch.setattr(scorer, "_launch", inexact)
    ((_, unsettled),) = scorer.score([("a", units)])
    assert np.count_nonzero(unsettled[~np.isnan(expected)] != expected[~np.isnan(expected)]) > 5
    monkeypatch.setattr(score, "MARGIN", 5e-8)
    ((_, settled),) = scorer.score([("a", units)])
    np.testing.assert_array_equal(settled, expected)


def test_before_rounding_to_float32_little_is_different() -> None:
    """What the guarantee rests on: the order of summation moves entropies by less than MARGIN."""
    config = small_config()
    scorer, units = scorer_of(config, 20), speech_like(64, 0)
    stream = StreamingScorer(scorer.model, config)
    found = [stream._push(unit) for unit in units.tolist()]
    with torch.inference_mode():
        from entcomp.lm.batches import read_and_predict
        from entcomp.lm.model import entropies
        from entcomp.lm.packed import Packed

        packed = Packed.pack(*([one] for one in read_and_predict(units, 20, 0, 64)))
        expected = entropies(scorer.model(packed))
    assert expected.dtype == torch.float64
    np.testing.assert_allclose(found, expected.numpy(), rtol=0, atol=MARGIN / 10)


def test_float32_scores_are_as_near_as_float32_allows() -> None:
    config, units = small_config(), speech_like(64, 0)
    ((_, expected),) = scorer_of(config, 20, "float32").score([("a", units)])
    found = StreamingScorer(scorer_of(config, 20).model, config).push(units)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("lm_units", ["raw", "dedup"])
def test_groups_of_real_units(lm_units: str, shared_data: Path) -> None:
    """HuBERT units of read speech, longer than the context."""
    config = small_config(lm_units=lm_units, context=128, score_overlap=64)
    scorer = scorer_of(config, 100)
    lines = (shared_data / "hubert100" / "lj_val" / "units.txt").read_text().splitlines()
    utterances = [np.array(line.split()[1:], np.int32) for line in lines[:2]]
    assert max(map(len, utterances)) > 256
    for units in utterances:
        ((_, entropies),) = scorer.score([("a", units)])
        middle = float(np.nanmedian(entropies))
        for criterion in RULES:
            rule = Rule(criterion, theta_g=middle, theta_r=0.1)
            stream = StreamingTokenizer(StreamingScorer(scorer.model, config), rule)
            found = [length for unit in units for length in stream.push([unit])]
            assert found + stream.finish() == offline(entropies, rule)


def test_of_a_tokenizer(tmp_path: Path) -> None:
    tokenizer = Tokenizer.open(make_pipeline(tmp_path))
    for criterion in RULES:
        rule = tokenizer.rule(8.0, criterion)
        expected = tokenizer.encode(babble(6.0, 1), RATE, rule=rule)
        stream = tokenizer.stream(rule)
        found = stream.push(expected.units[:99]) + stream.push(expected.units[99:])
        assert found + stream.finish() == expected.groups.tolist()


def test_memory_does_not_grow() -> None:
    """All that a stream holds is at most as large after 2,000 units as in the first 500."""
    config = small_config(lm_units="dedup")
    model, rule = some_lm(config, 20), RULES["peak"]
    stream = StreamingTokenizer(StreamingScorer(model, config), rule)
    sizes = []
    for unit in speech_like(2000, 0):
        stream.push([unit])
        state = {**vars(stream.scorer), **vars(stream.groups)}
        held = [value for name, value in state.items() if name not in ("model", "config", "rule")]
        sizes.append(len(pickle.dumps(held)))
    assert max(sizes[500:]) <= max(sizes[:500]) + 8  # longer numbers


def test_an_empty_push_and_a_single_unit() -> None:
    config = small_config()
    stream = StreamingTokenizer(StreamingScorer(some_lm(config, 20), config), RULES["peak"])
    assert stream.push([]) == []
    assert stream.push([3]) == []
    assert stream.finish() == [1]
    assert StreamingGroups(RULES["global"]).finish() == []


def test_refusals() -> None:
    model = some_lm(small_config(), 20)
    with pytest.raises(EntcompError, match="it cannot stream"):
        StreamingScorer(model, small_config(direction="backward"))
    for unit in (-1, 20):
        with pytest.raises(EntcompError, match=rf"unit {unit} is not one of 0\.\.19"):
            StreamingScorer(model, small_config()).push([unit])
    for criterion in ("bidirectional", "uniform", "dedup"):
        with pytest.raises(EntcompError, match=f"--criterion {criterion}: cannot stream"):
            StreamingGroups(Rule(criterion))
