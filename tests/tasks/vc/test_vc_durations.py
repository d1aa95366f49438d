"""How long deduplicated units last where nobody says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from vc_toys import CLUSTERS, UNITS

from entcomp.artifacts.runs import run_lengths
from entcomp.errors import EntcompError
from entcomp.files import write_json
from entcomp.tasks.vc.durations import Durations


def test_each_unit_has_its_mean_run_and_unknown_ones_that_of_all() -> None:
    found = Durations.learn([np.array([1, 1, 1, 2, 1]), np.array([2, 2, 2])], 4)
    assert found.mean_frames == [2.0, 2.0, 2.0, 2.0]
    found = Durations.learn([np.array([0, 0, 0, 1]), np.array([1, 1])], 3)
    assert found.mean_frames == [3.0, 1.5, 2.0]  # six frames in three runs


@given(
    st.lists(st.floats(1, 9), min_size=3, max_size=3),
    st.lists(st.integers(0, 2), min_size=1, max_size=60),
)
def test_an_utterance_lasts_as_long_as_its_means_do(means: list[float], units: list[int]) -> None:
    runs = np.array([one for i, one in enumerate(units) if i == 0 or units[i - 1] != one], np.int32)
    spoken = Durations(means).expand(runs)
    assert spoken.dtype == np.int32
    lengths = run_lengths(spoken)
    assert (spoken[np.cumsum(lengths) - lengths] == runs).all()
    wanted = np.array(means)[runs]
    assert abs(len(spoken) - wanted.sum()) <= 0.51
    assert (np.abs(lengths - wanted) < 1 + 1e-9).all()


def test_durations_of_another_model_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EntcompError, match=r"durations.json: no such file; rerun train-vc"):
        Durations.read(tmp_path, UNITS)
    for means in (
        [1.5] * (CLUSTERS - 1),
        [1.5] * (CLUSTERS - 1) + [0.5],
        [1.5] * 11 + [None],
        [1e300] * CLUSTERS,
    ):
        write_json(tmp_path / "durations.json", {"mean_frames": means})
        with pytest.raises(EntcompError, match=r"durations.json: .*; rerun train-vc"):
            Durations.read(tmp_path, UNITS)
    Durations([1.5] * CLUSTERS).write(tmp_path)
    assert Durations.read(tmp_path, UNITS).mean_frames == [1.5] * CLUSTERS
