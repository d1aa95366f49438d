from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from entcomp.artifacts.runs import (
    lengths_of,
    mask_of,
    run_lengths,
    run_mask,
    run_starts,
    starts_of,
)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=30))
def test_lengths_starts_and_masks_are_the_same_groups(lengths: list[int]) -> None:
    groups = np.array(lengths, np.int32)
    mask = mask_of(groups)
    assert len(mask) == sum(lengths) and mask[0]
    assert lengths_of(mask).tolist() == lengths and lengths_of(mask).dtype == np.int32
    assert starts_of(groups).tolist() == np.flatnonzero(mask).tolist()
    assert starts_of(groups).dtype == np.int64


def test_runs_of_equal_units() -> None:
    units = np.array([5, 5, 2, 5, 5, 5, 1], np.int32)
    assert run_mask(units).tolist() == [True, False, True, True, False, False, True]
    assert run_starts(units).tolist() == [0, 2, 3, 6]
    assert run_lengths(units).tolist() == [2, 1, 3, 1]
    assert len(run_lengths(np.zeros(0, np.int32))) == 0
