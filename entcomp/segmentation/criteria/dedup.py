"""A baseline (table 3 of the paper): runs of equal units."""

from __future__ import annotations

import math

import numpy as np

from entcomp.artifacts.runs import run_mask
from entcomp.segmentation.criteria import CRITERIA
from entcomp.segmentation.criterion import Criterion, Style
from entcomp.segmentation.rows import Rows
from entcomp.segmentation.rule import Rule


@CRITERIA.register("dedup")
class Dedup(Criterion):
    """A new group wherever the unit changes."""

    help = "runs of equal units, a baseline"
    style = Style("#000000", "*")
    strengths = ((),)

    def starts(self, rows: Rows, rule: Rule) -> np.ndarray:
        return run_mask(rows.values)

    def bits_per_group(self, num_clusters: int, rule: Rule) -> float:
        return math.log2(num_clusters)


RUNS = Rule("dedup")
