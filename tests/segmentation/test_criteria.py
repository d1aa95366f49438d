"""Known groups of hand-built rows, and every criterion against a plain loop over one utterance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_predictor import toy_options

from entcomp.files import sha256_of
from entcomp.segmentation.criteria import CRITERIA
from entcomp.segmentation.intervals import IntervalCriterion
from entcomp.segmentation.rows import Rows, iter_rows
from entcomp.segmentation.rule import Rule, group_starts

FROM_UNITS = [name for name in CRITERIA if not CRITERIA[name].directions]
BASELINES = [name for name in FROM_UNITS if not issubclass(CRITERIA[name], IntervalCriterion)]
MERGES = {
    "of": "units",
    "num_units": 4,
    "merges": "0 0,4 1,2 3,6 5",
    "merges_sha256": sha256_of("0 0,4 1,2 3,6 5"),
}
MOMENTS = ((2.0, 1.0), (3.0, 0.5))
NAN = float("nan")


def groups_of(rule: Rule, *values: list[float], backward: list[list[float]] | None = None) -> Any:
    """Group lengths of each utterance."""
    dtype = np.int32 if rule.criterion == "dedup" else np.float32
    others = [None if backward is None else np.array(b, np.float32) for b in backward or values]
    others = others if backward is not None else [None] * len(values)
    block = [
        (f"u{i}", np.array(value, dtype), other)
        for i, (value, other) in enumerate(zip(values, others, strict=True))
    ]
    rows = Rows.join(block)
    return [groups.tolist() for _, groups in rows.split(group_starts(rows, rule))]


ROW = [5.0, 1.0, 2.5, 2.5, 0.5, 3.0, 3.5, 1.0, 4.0]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (Rule("global", theta_g=2.0), [2, 1, 2, 1, 2, 1]),
        (Rule("global", theta_g=2.5), [5, 1, 2, 1]),  # strictly above
        (Rule("global", theta_g=9.0), [9]),
        (Rule("relative", theta_r=1.0), [2, 3, 3, 1]),
        (Rule("relative", theta_r=1.5), [5, 3, 1]),
        (Rule("combined", theta_g=2.75, theta_r=0.25), [5, 1, 2, 1]),
        (Rule("combined", theta_g=2.75, theta_r=1.0), [5, 3, 1]),
        # the plateau 2.5 2.5 fires where it begins; the last unit is above its only neighbour
        (Rule("peak", theta_g=0.0), [2, 4, 2, 1]),
        (Rule("peak", theta_g=3.25), [6, 2, 1]),
        (Rule("fixed", window=4), [4, 4, 1]),
        (Rule("uniform", groups_per_unit=0.5), [3, 2, 2, 2]),
        (Rule("uniform", groups_per_unit=1.0), [1] * 9),
        (Rule("uniform", groups_per_unit=0.01), [9]),
        (Rule("dedup"), [1, 1, 2, 1, 2, 1, 1]),  # as int32: 5 1 2 2 0 3 3 1 4
        (Rule("global", theta_g=2.0, min_length=2), [2, 3, 3, 1]),
        (Rule("global", theta_g=2.0, min_length=3), [3, 3, 3]),
        (Rule("global", theta_g=9.0, max_length=4), [4, 4, 1]),
        (Rule("global", theta_g=2.5, min_length=2, max_length=3), [3, 2, 3, 1]),
        # each unit that fires ends its group, unit 0 too: 5 | 1 2.5 2.5 .5 3 | 3.5 | 1 4
        (Rule("global", theta_g=2.5, boundary="last"), [1, 5, 1, 2]),
        (Rule("global", theta_g=9.0, boundary="last"), [9]),
        (Rule("relative", theta_r=1.0, boundary="last"), [3, 3, 3]),
        (Rule("combined", theta_g=2.75, theta_r=0.25, boundary="last"), [6, 1, 2]),
        (Rule("peak", theta_g=0.0, boundary="last"), [3, 4, 2]),
        # limits hold for these groups: that of unit 0 is too short, that which 3 ends too long
        (Rule("global", theta_g=2.5, boundary="last", min_length=2), [6, 3]),
        (Rule("global", theta_g=2.5, boundary="last", max_length=3), [1, 3, 2, 1, 2]),
        (Rule("global", theta_g=2.5, boundary="last", min_length=2, max_length=4), [4, 2, 3]),
    ],
)
def test_hand_built_row(rule: Rule, expected: list[int]) -> None:
    assert groups_of(rule, ROW) == [expected]
    # what stands before or behind does not matter
    assert groups_of(rule, [9.0, 0.0], ROW, [7.0], ROW)[1::2] == [expected, expected]


def test_bidirectional_row() -> None:
    # z forward: -1 1 0 2; z backward of the unit before: 0 2 -2 -> scores 1 2 0
    rule = Rule("bidirectional", theta_z=0.5, moments=MOMENTS)
    forward, backward = [1.0, 3.0, 2.0, 4.0], [3.0, 4.0, 2.0, 9.0]
    assert groups_of(rule, forward, backward=[backward]) == [[1, 1, 2]]
    peaks = Rule("bidirectional", theta_z=0.5, moments=MOMENTS, peaks=True)
    assert groups_of(peaks, forward, backward=[backward]) == [[2, 2]]


def test_frames_without_prediction_are_left_out() -> None:
    row = [3.0, NAN, NAN, 1.0, NAN, 2.0, 3.0, NAN]
    assert groups_of(Rule("global", theta_g=1.5), row) == [[5, 1, 2]]
    # the rise is from run to run: 1 - 3, 2 - 1, 3 - 2
    assert groups_of(Rule("relative", theta_r=0.5), row) == [[5, 1, 2]]
    assert groups_of(Rule("peak", theta_g=0.0), row) == [[6, 2]]
    assert groups_of(Rule("global", theta_g=9.0, max_length=5), row) == [[5, 3]]


def test_a_run_that_fires_is_the_last_of_its_group_with_its_repeats() -> None:
    row = [3.0, NAN, NAN, 1.0, NAN, 2.0, 3.0, NAN]
    assert groups_of(Rule("global", theta_g=2.5, boundary="last"), row) == [[3, 5]]
    assert groups_of(Rule("relative", theta_r=0.5, boundary="last"), row) == [[6, 2]]


def test_runs_are_paired_wherever_the_backward_lm_marks_them() -> None:
    rule = Rule("bidirectional", theta_z=0.5, moments=MOMENTS)
    forward = [1.0, NAN, 3.0, 2.0, NAN, 4.0]
    at_first = [3.0, NAN, 4.0, 2.0, NAN, 9.0]
    at_last = [NAN, 3.0, 4.0, NAN, 2.0, 9.0]
    for backward in (at_first, at_last):
        assert groups_of(rule, forward, backward=[backward]) == [[2, 1, 3]]


def naive_starts(rule: Rule, values: list[float], backward: list[float]) -> list[int]:
    """One utterance, one unit after the other, as the definitions read."""
    predicted = [i for i, value in enumerate(values) if value == value]
    h = [np.float32(values[i]) for i in predicted]
    behind = [np.float32(value) for value in backward if value == value]
    (mean, std), (mean_b, std_b) = np.array(MOMENTS, np.float32)
    z = [-np.inf]
    for j in range(1, len(h)):
        z.append((h[j] - mean) / std + (behind[j - 1] - mean_b) / std_b)

    def is_peak(x: list[Any], j: int) -> bool:
        return x[j] > x[j - 1] and not (j + 1 < len(x) and x[j + 1] > x[j])

    def fires(j: int) -> bool:
        if rule.criterion == "global":
            return h[j] > rule.theta_g
        if rule.criterion == "relative":
            return h[j] - h[j - 1] > rule.theta_r
        if rule.criterion == "combined":
            return h[j] > rule.theta_g and h[j] - h[j - 1] > rule.theta_r
        if rule.criterion == "peak":
            return h[j] > rule.theta_g and is_peak(h, j)
        return z[j] > rule.theta_z and (not rule.peaks or is_peak(z, j))

    if rule.boundary == "last":
        alone = rule.criterion == "global"  # the others compare with what is before
        ending = [j for j in range(len(h) - 1) if (j or alone) and fires(j)]
        firing = {predicted[j + 1] for j in ending}
    else:
        firing = {predicted[j] for j in range(1, len(h)) if fires(j)}
    starts = [0]
    for i in range(1, len(values)):
        length = i - starts[-1]
        if length == rule.max_length or (i in firing and length >= rule.min_length):
            starts.append(i)
    return starts


# Few distinct values, so that ties and plateaus are common.
ENTROPY = st.sampled_from([0.0, 0.25, 1.0, 1.5, 2.0, 2.1, 3.0, 3.3, 4.0, 6.0])


@st.composite
def utterances(draw: st.DrawFn) -> list[tuple[list[float], list[float]]]:
    """Forward and backward entropies, with NaN in the same number of places but the first."""
    rows = []
    for _ in range(draw(st.integers(1, 6))):
        length = draw(st.integers(1, 25))
        forward = draw(st.lists(ENTROPY, min_size=length, max_size=length))
        backward = draw(st.lists(ENTROPY, min_size=length, max_size=length))
        for i in draw(st.sets(st.integers(1, length - 1))) if length > 1 else ():
            forward[i] = backward[i - 1] = NAN
        rows.append((forward, backward))
    return rows


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    min_length = draw(st.integers(1, 5))
    return Rule(
        draw(st.sampled_from(["global", "relative", "combined", "peak", "bidirectional"])),
        theta_g=draw(ENTROPY),
        theta_r=draw(st.sampled_from([-1.0, 0.0, 0.5, 1.0])),
        theta_z=draw(st.sampled_from([-2.0, 0.0, 1.5])),
        moments=MOMENTS,
        peaks=draw(st.booleans()),
        min_length=min_length,
        max_length=draw(st.none() | st.integers(min_length, 8)),
        boundary=draw(st.sampled_from(["first", "last"])),
    )


@settings(max_examples=400, deadline=None)
@given(rows=utterances(), rule=rules())
def test_flat_equals_the_naive_loop(rows: list[Any], rule: Rule) -> None:
    found = groups_of(rule, *[row[0] for row in rows], backward=[row[1] for row in rows])
    for (forward, backward), groups in zip(rows, found, strict=True):
        starts = naive_starts(rule, forward, backward)
        assert np.cumsum([0, *groups]).tolist() == [*starts, len(forward)]


BASELINE = st.builds(
    Rule,
    st.sampled_from(BASELINES),
    window=st.integers(1, 9),
    groups_per_unit=st.floats(0.01, 1.0),
    seed=st.integers(0, 3),
    theta_z=st.floats(0, 1),
    options=st.just(MERGES | toy_options(4)),  # of bpe and learnt; the others have none
)
UNITS = st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=40), min_size=1, max_size=6)


@settings(max_examples=200, deadline=None)
@given(rule=BASELINE | rules(), units=UNITS, data=st.data())
def test_groups_are_a_partition_whatever_the_block(rule: Rule, units: Any, data: Any) -> None:
    dtype = np.int32 if rule.criterion in BASELINES else np.float32
    vectors = [(f"u{i}", np.array(u, dtype), np.array(u, dtype)) for i, u in enumerate(units)]

    def grouped(order: list[Any], block_units: int) -> dict[str, list[int]]:
        return {
            utt_id: groups.tolist()
            for rows in iter_rows(order, block_units)
            for utt_id, groups in rows.split(group_starts(rows, rule))
        }

    whole = grouped(vectors, 1000)
    assert list(whole) == [utt_id for utt_id, _, _ in vectors]
    for utt_id, values, _ in vectors:
        groups = whole[utt_id]
        assert sum(groups) == len(values) and min(groups) >= 1
        assert all(length >= rule.min_length for length in groups[:-1])
        assert rule.max_length is None or max(groups) <= rule.max_length
    shuffled = data.draw(st.permutations(vectors))
    assert grouped(shuffled, data.draw(st.integers(1, 50))) == whole


@settings(deadline=None)
@given(rows=utterances(), low=ENTROPY, high=ENTROPY)
def test_a_higher_theta_only_removes_starts(rows: list[Any], low: float, high: float) -> None:
    low, high = sorted((low, high))
    flat = Rows.join([(str(i), np.array(row[0], np.float32), None) for i, row in enumerate(rows)])
    for criterion in ("global", "peak"):
        more = group_starts(flat, Rule(criterion, theta_g=low))
        fewer = group_starts(flat, Rule(criterion, theta_g=high))
        assert not (fewer & ~more).any()


@settings(deadline=None)
@given(rows=utterances(), rule=rules(), cut=st.integers(1, 25))
def test_threshold_criteria_need_no_lookahead(rows: list[Any], rule: Rule, cut: int) -> None:
    """What comes later changes no start: streaming gives the same groups."""
    if rule.criterion not in ("global", "relative", "combined"):
        return
    forward = rows[0][0]
    whole = np.cumsum([0, *groups_of(rule, forward)[0]])
    prefix = np.cumsum([0, *groups_of(rule, forward[:cut])[0]])
    end = min(cut, len(forward))
    assert prefix[:-1].tolist() == whole[whole < end].tolist()


def test_random_groups_depend_on_the_id_and_the_seed() -> None:
    units = np.zeros(200, np.int32)

    def draw(utt_id: str, seed: int) -> list[int]:
        rows = Rows.join([(utt_id, units, None)])
        rule = Rule("random", groups_per_unit=0.1, seed=seed)
        return next(rows.split(group_starts(rows, rule)))[1].tolist()

    assert draw("a", 0) == draw("a", 0)
    assert draw("a", 0) != draw("b", 0)
    assert draw("a", 0) != draw("a", 1)
    assert len(draw("a", 0)) == 20
