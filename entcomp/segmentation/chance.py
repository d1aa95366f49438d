"""What groups come to that know nothing of speech, at another segmentation's rate."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from entcomp.segmentation.criteria import CRITERIA
from entcomp.segmentation.rule import Rule, group_one


def chance_names() -> list[str]:
    """Criteria that stand for chance, those of the fewest draws first."""
    names = (name for name in CRITERIA if CRITERIA[name].chance_draws)
    return sorted(names, key=lambda name: (CRITERIA[name].chance_draws, name))


def chance_groups(seed: int) -> dict[str, Callable[[str, np.ndarray], list[np.ndarray]]]:
    """By name of a criterion: draws of group lengths in frames, as many as an utterance has.

    Each takes the utterance's id and own group lengths (groups,).
    """
    return {name: partial(_draw, name, seed) for name in chance_names()}


def _draw(name: str, seed: int, utt_id: str, own: np.ndarray) -> list[np.ndarray]:
    frames = int(own.sum())
    blank = np.zeros(frames, np.int32)
    # Other seeds than that of a segmentation that is chance itself.
    seeds = range(seed + 1, seed + 1 + CRITERIA[name].chance_draws)
    rules = (Rule(name, groups_per_unit=len(own) / frames, seed=one) for one in seeds)
    return [group_one(utt_id, blank, None, rule) for rule in rules]
