"""A baseline: equal spacing at a rate."""

from __future__ import annotations

import numpy as np

from entcomp.segmentation.criteria import CRITERIA
from entcomp.segmentation.criterion import SpacedCriterion, Style
from entcomp.segmentation.rows import Rows
from entcomp.segmentation.rule import Rule


@CRITERIA.register("uniform")
class Uniform(SpacedCriterion):
    """Equal groups, up to rounding to frames: Bresenham's line of M groups over n units."""

    help = "equal spacing, a baseline"
    style = Style("#000000", "2", line="--")
    chance_draws = 1

    def starts(self, rows: Rows, rule: Rule) -> np.ndarray:
        wanted = np.repeat(self.group_counts(rows.lengths, rule), rows.lengths)
        return rows.positions * wanted % np.repeat(rows.lengths, rows.lengths) < wanted
