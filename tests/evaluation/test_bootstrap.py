"""Bootstrap intervals: each holds the value that it is an interval of."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from entcomp.evaluation.bootstrap import (
    RESAMPLES,
    SeedSpread,
    percentile_interval,
    ratio,
    ratio_interval,
    share_interval,
)
from entcomp.evaluation.boundaries.metrics import COUNTS, count_boundaries, score_set
from entcomp.evaluation.text.recognition import error_rates
from entcomp.evaluation.text.translation import translation_scores
from entcomp.evaluation.voices.evaluator import mean_interval

# Few and lopsided: then percentiles pass the value by most often.
counts = st.integers(1, 12).flatmap(
    lambda size: st.tuples(
        arrays(np.float64, size, elements=st.integers(0, 1000)),
        arrays(np.float64, size, elements=st.integers(0, 50)),
    )
)
texts = st.lists(st.sampled_from(["", "a", "a b", "c d e f", "b b b"]), min_size=1, max_size=5)
quick = settings(max_examples=40, deadline=None)


@quick
@given(counts)
def test_interval_of_a_ratio_holds_it(pair: tuple[np.ndarray, np.ndarray]) -> None:
    low, high = ratio_interval(*pair)
    assert low <= ratio(*pair) <= high


@given(
    arrays(np.float64, 1000, elements=st.floats(-1e6, 1e6)), st.floats(-1e6, 1e6, allow_nan=False)
)
@quick
def test_percentiles_are_widened_to_the_value(values: np.ndarray, value: float) -> None:
    low, high = percentile_interval(values, value)
    assert low <= value <= high
    assert low <= np.percentile(values, 2.5) and np.percentile(values, 97.5) <= high


@quick
@given(st.lists(st.floats(-5, 5), min_size=1, max_size=12))
def test_interval_of_a_mean_holds_it(values: list[float]) -> None:
    found = mean_interval(values)
    low, high = found["interval"]
    assert low <= found["mean"] <= high
    assert found["mean"] == pytest.approx(np.mean(values), abs=1e-9)


@quick
@given(st.data())
def test_intervals_of_text_scores_hold_them(data: st.DataObject) -> None:
    references = data.draw(texts)
    hypotheses = [data.draw(st.sampled_from(["", "a", "b a", "c d e f"])) for _ in references]
    for score in error_rates(references, hypotheses, "basic").values():
        low, high = score["interval"]
        assert low <= score["percent"] <= high
    for score in translation_scores(references, hypotheses).values():
        low, high = score["interval"]
        assert low <= score["score"] <= high


boundaries = st.lists(st.integers(1, 40), max_size=8, unique=True).map(
    lambda times: np.array(sorted(times), np.int64) * 25_000_000
)


@quick
@given(st.lists(st.tuples(boundaries, boundaries), min_size=1, max_size=5))
def test_intervals_of_boundary_scores_hold_them(pairs: list[tuple[np.ndarray, np.ndarray]]) -> None:
    rows = np.stack([count_boundaries(*pair, 20_000_000) for pair in pairs])
    assert rows.shape[1] == len(COUNTS)
    found = score_set(rows)
    for name, (low, high) in found["interval"].items():
        if found[name] is not None:
            assert low <= found[name] <= high, name


@pytest.mark.parametrize("utterances", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("seeds", [(2, 2), (3, 3), (2, 1), (3, 1)])
def test_intervals_over_two_or_three_seeds_held_the_truth_too_seldom(
    seeds: tuple[int, int], utterances: float
) -> None:
    """Simulated pairs of streams that are alike: utterances count, seeds have a deviation of 1."""
    generator = np.random.default_rng(0)
    drawn = utterances * generator.normal(size=RESAMPLES)
    held = 0
    for _ in range(1000):
        one, other = (generator.normal(size=count) for count in seeds)
        difference = one.mean() - other.mean() + utterances * generator.normal()
        spread = SeedSpread.of([one, other])
        moved = spread.of_mean(len(one), 1) - spread.of_mean(len(other), 2)
        low, high = percentile_interval(difference + drawn + moved, difference)
        held += low <= 0 <= high
    assert 930 <= held <= 995


def test_one_seed_each_says_nothing_of_seeds() -> None:
    spread = SeedSpread.of([np.array([3.0]), np.array([5.0])])
    assert (spread.deviation, spread.freedom) == (0.0, 0)
    assert not spread.of_mean(1, 0).any()


def test_a_share_of_none_had_no_interval() -> None:
    assert share_interval(0, 60) == pytest.approx((0, 0.0602), abs=1e-4)  # Wilson, by hand
    assert share_interval(60, 60) == pytest.approx((0.9398, 1), abs=1e-4)
    low, high = share_interval(30, 60)
    assert low + high == pytest.approx(1) and high - low == pytest.approx(0.2453, abs=1e-3)
