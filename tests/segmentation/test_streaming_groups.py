"""Entropies that arrive one by one give the groups of offline, by all criteria that stream."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entcomp.errors import EntcompError
from entcomp.segmentation import BOUNDARIES
from entcomp.segmentation.criteria import CRITERIA, criterion_names
from entcomp.segmentation.criterion import EntropyCriterion, Threshold
from entcomp.segmentation.rows import Predictions
from entcomp.segmentation.rule import Rule, group_one
from entcomp.segmentation.streaming import WINDOW, StreamingGroups

NAN = float("nan")
STREAMING = [
    name
    for name in criterion_names()
    if issubclass(CRITERIA[name], EntropyCriterion) and CRITERIA[name].lookahead is not None
]


class Wide(EntropyCriterion):
    """Looks two predictions back and three ahead."""

    help = "entropy above that of a neighbourhood"
    thresholds = (Threshold("theta_z"),)
    lookback = 2
    lookahead = 3

    def scores(self, predictions: Predictions, rule: Rule) -> tuple[np.ndarray]:
        others = [predictions.neighbour(predictions.forward, one) for one in (-2, -1, 1, 2, 3)]
        return (predictions.forward - np.nan_to_num(np.stack(others)).max(axis=0),)


@pytest.fixture(scope="module", autouse=True)
def wide() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(CRITERIA._found, "wide", Wide)
        yield


def rule_of(name: str, **values: Any) -> Rule:
    theta_g = 0.5 if name == "peak" else 1.0
    return Rule(name, theta_g=theta_g, theta_r=0.25, theta_z=-0.25, **values)


def test_all_on_forward_entropies_can_stream() -> None:
    lookaheads = {name: CRITERIA[name].lookahead for name in STREAMING}
    assert lookaheads == {"global": 0, "combined": 0, "peak": 1, "relative": 0}
    assert STREAMING == ["global", "combined", "peak", "relative"]
    assert CRITERIA["learnt"].lookahead == 0  # of units
    for name in set(criterion_names()) - {*STREAMING, "learnt", "wide"}:
        with pytest.raises(EntcompError, match=f"--criterion {name}: cannot stream; available: gl"):
            StreamingGroups(Rule(name))


@settings(deadline=None)
@given(
    st.lists(st.sampled_from([0.0, 0.5, 0.75, 1.0, 1.25, 2.0, NAN]), min_size=1),
    st.sampled_from([*STREAMING, "wide"]),
    st.integers(1, 4),
    st.none() | st.integers(4, 7),
    st.sampled_from(BOUNDARIES),
    st.integers(1, 5),
)
def test_the_groups_of_offline(values, name, min_length, max_length, boundary, step) -> None:
    """With ties, repeats without a prediction, and limits on the length; in pushes of any size."""
    entropies = np.array([1.0, *values], np.float32)
    rule = rule_of(name, min_length=min_length, max_length=max_length, boundary=boundary)
    stream = StreamingGroups(rule)
    found: list[int] = []
    for begin in range(0, len(entropies), step):
        found += stream.push(entropies[begin : begin + step])
    assert found + stream.finish() == group_one("", entropies, None, rule).tolist()


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("name", [*STREAMING, "wide"])
def test_random_entropies_as_soon_as_they_are_certain(name: str, boundary: str) -> None:
    """Unit ``i`` ends the group before it when the predictions that the criterion needs arrive."""
    entropies = np.random.default_rng(0).uniform(0, 2, 500).astype(np.float32)
    rule, done = rule_of(name, boundary=boundary), 0
    stream, ahead = StreamingGroups(rule), CRITERIA[name].lookahead
    ahead -= 1 if ahead and boundary == "last" else 0  # the unit that decides is one before
    ends = np.cumsum(group_one("", entropies, None, rule))[:-1]
    assert 20 < len(ends) < 480
    for index in range(len(entropies)):
        done += len(stream.push(entropies[index : index + 1]))
        assert done == np.count_nonzero(ends <= index - ahead)
    assert len(stream.finish()) == len(ends) + 1 - done


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("name", [*STREAMING, "wide"])
def test_memory_does_not_grow(name: str, boundary: str) -> None:
    stream = StreamingGroups(rule_of(name, boundary=boundary))
    for _ in range(100):
        stream.push(np.random.default_rng(0).uniform(0, 2, 50).astype(np.float32))
        assert len(stream._recent) <= CRITERIA[name].lookback + CRITERIA[name].lookahead + 1
        stream.push(np.full(1000, NAN, np.float32))


def hear(stream: StreamingGroups, entropies: np.ndarray, step: int = 7) -> list[int]:
    pieces = (entropies[begin : begin + step] for begin in range(0, len(entropies), step))
    return [length for piece in pieces for length in stream.push(piece)]


def made_up(generator: np.random.Generator, units: int, mean: float, scale: float) -> np.ndarray:
    """Entropies that have neighbours alike, as of speech; a third of the units repeat another."""
    noise = np.convolve(generator.gamma(2, size=units + 2), [0.25, 0.5, 0.25], "valid")
    entropies = (mean + scale * noise).astype(np.float32)
    entropies[1:][generator.random(units - 1) < 1 / 3] = NAN
    return entropies


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("name", STREAMING)
def test_a_running_rate_is_met_though_entropies_drift(name: str, boundary: str) -> None:
    """Within 5% of each minute but that in which all entropies double, which is within 10%."""
    generator, rate = np.random.default_rng(0), 6.0
    rule = Rule(name, boundary=boundary, match_rate="utterance", groups_per_unit=rate * 0.02)
    stream = StreamingGroups(rule)
    rates = []
    for mean, scale in ((0.3, 0.5), (0.6, 1.0), (0.6, 1.0)):
        lengths = hear(stream, made_up(generator, 3000, mean, scale))
        rates.append(len(lengths) / (0.02 * sum(lengths)))
    assert rates[0] == pytest.approx(rate, rel=0.05)
    assert rates[1] == pytest.approx(rate, rel=0.1)
    assert rates[2] == pytest.approx(rate, rel=0.05)
    assert len(stream.rule._heard) == WINDOW and len(stream._recent) < 5


@settings(deadline=None, max_examples=50)
@given(st.sampled_from([*STREAMING, "wide"]), st.sampled_from(BOUNDARIES), st.integers(1, 90))
def test_a_running_rate_does_not_depend_on_the_pushes(name: str, boundary: str, step: int) -> None:
    values: dict[str, Any] = {"match_rate": "utterance", "groups_per_unit": 0.2}
    rule = Rule(name, boundary=boundary, min_length=2, max_length=40, **values)
    entropies = made_up(np.random.default_rng(1), 400, 0.3, 0.5)
    one, other = StreamingGroups(rule), StreamingGroups(rule)
    found = hear(one, entropies, step) + one.finish()
    assert found == hear(other, entropies, 1) + other.finish()
    assert sum(found) == 400


def test_a_run_that_is_longer_than_the_window() -> None:
    stream = StreamingGroups(Rule("global", match_rate="utterance", groups_per_unit=0.2))
    entropies = np.full(3 * WINDOW, NAN, np.float32)
    entropies[[0, 2 * WINDOW]] = 1.0, 2.0
    found = hear(stream, entropies) + stream.finish()
    assert sum(found) == 3 * WINDOW


def test_a_neighbour_is_of_the_same_utterance() -> None:
    values = np.array([1, 2, 3, 4, 5, 6], np.float32)
    predictions = Predictions(values, np.array([0, 3, 4]))
    for offset, expected in (
        (-1, [NAN, 1, 2, NAN, NAN, 5]),
        (1, [2, 3, NAN, NAN, 6, NAN]),
        (2, [3, NAN, NAN, NAN, NAN, NAN]),
        (-9, [NAN] * 6),
    ):
        np.testing.assert_array_equal(predictions.neighbour(values, offset), expected)
