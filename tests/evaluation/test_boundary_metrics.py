"""Boundaries and their scores: numbers worked by hand, and what must hold for any."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from entcomp.artifacts.experiment import UnitsInfo
from entcomp.artifacts.ticks import (
    TICKS_PER_SECOND,
    group_boundaries,
    inside,
    reference_boundaries,
    to_ticks,
)
from entcomp.evaluation.boundaries.matching import match_one_to_one, nearest_distances
from entcomp.evaluation.boundaries.metrics import (
    COUNTS,
    SCORES,
    count_boundaries,
    score_set,
    scores,
)
from entcomp.formats.textgrid import Interval

TOLERANCE = to_ticks(0.02)
POINTS = st.lists(st.integers(1, 60), unique=True, max_size=25).map(sorted)


def ticks(*milliseconds: float) -> np.ndarray:
    return np.array([to_ticks(one / 1000) for one in milliseconds], np.int64)


def scored(reference: np.ndarray, hypothesis: np.ndarray, **options: bool) -> dict[str, float]:
    row = count_boundaries(reference, hypothesis, TOLERANCE, **options)
    return {name: float(value) for name, value in scores(row).items()}


def info(shift: int = 320, offset: int = 160, rate: int = 16000) -> UnitsInfo:
    return UnitsInfo("imported", 0, 100, rate, shift, offset, "c0de")


def test_reference_boundaries_frame_silences_and_leave_out_the_edges() -> None:
    spans = [(0, 0.1, "a"), (0.1, 0.25, "b"), (0.4, 0.55, "c"), (0.8, 1.0, "d")]
    found = reference_boundaries([Interval(*span) for span in spans], 1.0)
    assert found.tolist() == ticks(100, 250, 400, 550, 800).tolist()


def test_group_boundaries_are_where_later_groups_start() -> None:
    found = group_boundaries(np.array([3, 1, 4], np.int32), info())
    assert found.tolist() == ticks(70, 90).tolist()
    assert group_boundaries(np.array([8], np.int32), info()).tolist() == []


@pytest.mark.parametrize(("shift", "rate"), [(320, 16000), (441, 22050), (960, 48000)])
def test_twenty_milliseconds_are_twenty_milliseconds(shift: int, rate: int) -> None:
    """No float fuzz: a boundary just 20 ms away matches, at any time in a long recording."""
    groups = np.ones(200_000, np.int32)
    found = group_boundaries(groups, info(shift, 0, rate))
    assert (found == np.arange(1, 200_000) * (TICKS_PER_SECOND // 50)).all()
    reference = found + TOLERANCE
    assert match_one_to_one(reference[::3], found[::3], TOLERANCE) == len(found[::3])
    assert match_one_to_one(reference[::3] + 1, found[::3], TOLERANCE) == 0


def test_long_recordings_do_not_overflow() -> None:
    day = np.array([86_400 * 50, 1], np.int32)
    assert group_boundaries(day, info(offset=0)).tolist() == [86_400 * TICKS_PER_SECOND]


def test_inside_is_strict() -> None:
    assert inside(ticks(-5, 0, 1, 999, 1000, 1200), 1.0).tolist() == ticks(1, 999).tolist()


def test_scores_by_hand() -> None:
    """Four of five reference boundaries are met by eight: P = 1/2, R = 4/5, OS = 3/5."""
    reference = ticks(100, 200, 300, 400, 500)
    hypothesis = ticks(100, 120, 215, 250, 300, 350, 390, 460)
    found = scored(reference, hypothesis)
    assert found["precision"] == pytest.approx(0.5)
    assert found["recall"] == pytest.approx(0.8)
    assert found["f1"] == pytest.approx(2 * 0.5 * 0.8 / 1.3)
    assert found["over_segmentation"] == pytest.approx(0.6)
    r1, r2 = np.sqrt(0.2**2 + 0.6**2), abs(0.8 - 1 - 0.6) / np.sqrt(2)
    assert found["r_value"] == pytest.approx(1 - (r1 + r2) / 2)
    assert found["r_value"] == pytest.approx(0.4009296, abs=1e-6)
    offsets = [0, 20, 15, 50, 0, 50, -10, -40]  # halfway, the earlier boundary counts
    assert found["mean_signed_deviation_ms"] == pytest.approx(np.mean(offsets))
    assert found["mean_absolute_deviation_ms"] == pytest.approx(np.mean(np.abs(offsets)))
    assert found["within_50ms"] == 1


@pytest.mark.parametrize(
    ("hits", "boundaries", "references", "expected"),
    [
        (100, 100, 100, 1.0),
        (0, 0, 100, 1 - np.sqrt(2) / 2),  # nothing found: R = 0, OS = -1
        (50, 50, 100, 1 - np.sqrt(0.5) / 2),  # half of it: r2 = 0
        (100, 200, 100, 1 - (1 + 1 / np.sqrt(2)) / 2),  # all of it, and as many wrong: R = OS = 1
        (80, 100, 100, 1 - (0.2 + 0.2 / np.sqrt(2)) / 2),
    ],
)
def test_known_r_values(hits: int, boundaries: int, references: int, expected: float) -> None:
    row = dict.fromkeys(COUNTS, 0) | {"reference": references, "hypothesis": boundaries}
    row |= {"matched_reference": hits, "matched_hypothesis": hits}
    found = scores(np.array(list(row.values()), float))
    assert found["r_value"] == pytest.approx(expected)
    if hits:  # the definition by precision and recall
        os = (hits / references) / (hits / boundaries) - 1
        assert found["over_segmentation"] == pytest.approx(os)


def test_lenient_matching_counts_either_side_for_itself() -> None:
    reference, hypothesis = ticks(100, 110, 500), ticks(90, 105, 115, 300)
    strict, lenient = scored(reference, hypothesis), scored(reference, hypothesis, lenient=True)
    assert (strict["precision"], strict["recall"]) == (2 / 4, pytest.approx(2 / 3))
    assert (lenient["precision"], lenient["recall"]) == (3 / 4, pytest.approx(2 / 3))


def test_no_boundaries_on_either_side() -> None:
    none, some = ticks(), ticks(100, 200)
    assert scored(some, none)["f1"] == scored(some, none)["precision"] == 0
    assert np.isnan(scored(some, none)["mean_absolute_deviation_ms"])
    row = count_boundaries(none, some, TOLERANCE)
    assert row.tolist() == [0, 2, *[0] * (len(COUNTS) - 2)]
    assert score_set(np.stack([row]))["r_value"] is None


def test_utterances_are_summed_not_averaged() -> None:
    rows = np.stack(
        [
            count_boundaries(ticks(100), ticks(100), TOLERANCE),
            count_boundaries(ticks(100, 200, 300), ticks(500, 600, 700), TOLERANCE),
        ]
    )
    assert score_set(rows)["precision"] == 0.25


def test_bootstrap_interval() -> None:
    """Of 400 utterances with one boundary each, half are hits: binomial, sd 2.5%."""
    hit = count_boundaries(ticks(100), ticks(100), TOLERANCE)
    miss = count_boundaries(ticks(100), ticks(300), TOLERANCE)
    rows = np.stack([hit, miss] * 200)
    found = score_set(rows, seed=3)
    low, high = found["interval"]["recall"]
    assert found == score_set(rows, seed=3)
    assert low == pytest.approx(0.5 - 1.96 * 0.025, abs=0.01)
    assert high == pytest.approx(0.5 + 1.96 * 0.025, abs=0.01)
    assert score_set(np.stack([hit] * 9))["interval"]["f1"] == [1, 1]


def best_matching(reference: list[int], hypothesis: list[int], tolerance: int) -> int:
    """SciPy's maximum matching of the graph of boundaries that are near enough."""
    near = np.abs(np.subtract.outer(reference, hypothesis)) <= tolerance
    return int((maximum_bipartite_matching(csr_array(near)) >= 0).sum())


@given(POINTS, POINTS, st.integers(0, 6))
def test_no_matching_is_larger(reference: list[int], hypothesis: list[int], near: int) -> None:
    found = match_one_to_one(np.array(reference, int), np.array(hypothesis, int), near)
    expected = best_matching(reference, hypothesis, near) if reference and hypothesis else 0
    assert found == expected


@given(POINTS, POINTS, st.integers(0, 6), st.integers(-100, 100))
def test_matching_has_no_side_or_origin(
    reference: list[int], hypothesis: list[int], near: int, shift: int
) -> None:
    one, other = np.array(reference, int), np.array(hypothesis, int)
    found = match_one_to_one(one, other, near)
    assert found == match_one_to_one(other, one, near)
    assert found == match_one_to_one(one + shift, other + shift, near)
    assert found == match_one_to_one(-one[::-1], -other[::-1], near)
    assert found <= match_one_to_one(one, other, near + 1)


@given(POINTS.filter(bool), POINTS)
def test_nearest_distances_against_all_pairs(targets: list[int], points: list[int]) -> None:
    found = nearest_distances(np.array(points, int), np.array(targets, int))
    for point, distance in zip(points, found.tolist(), strict=True):
        assert point - distance in targets
        assert abs(distance) == min(abs(point - target) for target in targets)


@given(POINTS.filter(bool))
def test_a_perfect_segmentation(points: list[int]) -> None:
    found = scored(ticks(*points), ticks(*points))
    wanted = dict.fromkeys(SCORES, 1.0) | {"over_segmentation": 0}
    wanted |= {"mean_signed_deviation_ms": 0, "mean_absolute_deviation_ms": 0}
    assert found == pytest.approx(wanted)


@given(st.integers(-19, 19))
def test_a_shift_shows_as_signed_deviation(shift: int) -> None:
    reference = ticks(100, 300, 500)
    found = scored(reference, reference + to_ticks(shift / 1000))
    assert found["mean_signed_deviation_ms"] == pytest.approx(shift)
    assert found["mean_absolute_deviation_ms"] == pytest.approx(abs(shift))
    assert found["f1"] == 1


@given(POINTS.filter(lambda points: len(points) > 1), POINTS)
def test_shares_are_shares(reference: list[int], hypothesis: list[int]) -> None:
    for lenient in (False, True):
        found = scored(ticks(*reference), ticks(*hypothesis), lenient=lenient)
        for name in ("precision", "recall", "f1", "within_50ms"):
            assert 0 <= found[name] <= 1
        assert found["r_value"] <= 1
    assert all(a < b for a, b in pairwise(reference))


def test_boundaries_in_silence_moved_the_signed_deviation() -> None:
    """Equal spacing is off by nothing in the mean, however long the silence before and behind."""
    reference = ticks(*range(1000, 2000, 70))
    for start, end in ((0, 2000), (1000, 5000)):
        found = scored(reference, ticks(*range(start, end, 10)))
        assert abs(found["mean_signed_deviation_ms"]) < 1
