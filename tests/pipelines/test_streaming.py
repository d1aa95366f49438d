"""Streaming decides as offline does, where no entropy is as near as 1e-5 to its threshold."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from babbling import RATE, babble
from tiny_lm import make_lm, small_config, speech_like
from tiny_pipeline import make_pipeline

from entcomp import StreamingTokenizer, Tokenizer
from entcomp.errors import EntcompError
from entcomp.lm.streaming import StreamingScorer
from entcomp.segmentation import BOUNDARIES
from entcomp.segmentation.rule import Rule, group_one
from entcomp.segmentation.streaming import StreamingGroups

RULES = {
    "global": Rule("global", theta_g=1.0),
    "relative": Rule("relative", theta_r=0.25),
    "combined": Rule("combined", theta_g=1.0, theta_r=0.25),
    "peak": Rule("peak", theta_g=0.5),
}


@pytest.mark.parametrize("lm_units", ["raw", "dedup"])
def test_groups_of_a_stream(tmp_path: Path, lm_units: str) -> None:
    """Longer than the context; with thresholds that no entropy is near to."""
    lm = make_lm(tmp_path, small_config(lm_units=lm_units))
    units = speech_like(600, 1)
    entropies = lm.score(units)
    for criterion in RULES:
        theta_g, theta_r = clear_of(entropies), clear_of(np.diff(entropies))
        for boundary in BOUNDARIES:
            rule = Rule(criterion, theta_g=theta_g, theta_r=theta_r, boundary=boundary)
            stream = StreamingTokenizer(StreamingScorer(lm), rule)
            found = [length for unit in units for length in stream.push([unit])]
            assert found + stream.finish() == group_one("", entropies, None, rule).tolist()


def clear_of(values: np.ndarray) -> float:
    """A threshold near the middle, and far from each of the values."""
    middle = np.sort(values[~np.isnan(values)])
    middle = middle[len(middle) // 3 : 2 * len(middle) // 3]
    widest = int(np.argmax(np.diff(middle)))
    return float(np.float32(middle[widest : widest + 2].mean()))


def test_of_a_tokenizer(tmp_path: Path) -> None:
    tokenizer = Tokenizer.open(make_pipeline(tmp_path))
    for criterion in RULES:
        rule = tokenizer.rule(8.0, criterion)
        expected = tokenizer.encode(babble(6.0, 1), RATE, rule=rule)
        stream = tokenizer.stream(rule)
        found = stream.push(expected.units[:99]) + stream.push(expected.units[99:])
        assert found + stream.finish() == expected.groups.tolist()


def test_a_running_rate(tmp_path: Path) -> None:
    """Whatever the calibration says."""
    make_pipeline(tmp_path)
    stream = StreamingTokenizer.from_pretrained(
        tmp_path / "exp", target_rate=8.0, match_rate="utterance"
    )
    units = Tokenizer.from_pretrained(tmp_path / "exp").encode(babble(40.0, 3), RATE).units
    lengths = stream.push(units) + stream.finish()
    assert sum(lengths) == len(units)
    assert len(lengths) == pytest.approx(8 * 0.01 * len(units), rel=0.05)


def test_memory_does_not_grow(tmp_path: Path) -> None:
    """All that a stream holds is at most as large after 2,000 units as in the first 500."""
    lm = make_lm(tmp_path, small_config(lm_units="dedup"))
    stream = StreamingTokenizer(StreamingScorer(lm), RULES["peak"])
    sizes = []
    for unit in speech_like(2000, 0):
        stream.push([unit])
        state = {**vars(stream.scorer), **vars(stream.groups)}
        held = [value for name, value in state.items() if name not in ("lm", "rule")]
        sizes.append(len(pickle.dumps(held)))
    assert max(sizes[500:]) <= max(sizes[:500]) + 8  # longer numbers


def test_an_empty_push_and_a_single_unit(tmp_path: Path) -> None:
    lm = make_lm(tmp_path, small_config())
    stream = StreamingTokenizer(StreamingScorer(lm), RULES["peak"])
    assert stream.push([]) == []
    assert stream.push([3]) == []
    assert stream.finish() == [1]
    assert StreamingGroups(RULES["global"]).finish() == []


def test_a_second_finish_gave_the_last_group_again(tmp_path: Path) -> None:
    stream = StreamingTokenizer(StreamingScorer(make_lm(tmp_path, small_config())), RULES["peak"])
    assert stream.push([3]) == [] and stream.finish() == [1]
    assert stream.finish() == []
    with pytest.raises(EntcompError, match="finished; make a new tokenizer for the next"):
        stream.push([3])
