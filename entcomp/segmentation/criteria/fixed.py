"""A baseline (table 3 of the paper): windows of equal length."""

from __future__ import annotations

import numpy as np

from entcomp.segmentation.criteria import CRITERIA
from entcomp.segmentation.criterion import Criterion, Style
from entcomp.segmentation.request import Request
from entcomp.segmentation.rows import Rows
from entcomp.segmentation.rule import Rule


@CRITERIA.register("fixed")
class Fixed(Criterion):
    """Groups of ``window`` frames; an utterance's last group is what remains."""

    help = "windows of equal length, a baseline"
    style = Style("#777777", "x")
    strengths = (("window",),)
    implied_by = ("window",)

    def starts(self, rows: Rows, rule: Rule) -> np.ndarray:
        if rule.window is None:
            raise ValueError(f"not a resolved rule: {rule}")
        return rows.positions % rule.window == 0

    def tag(self, request: Request) -> str:
        return f"{request.criterion}{request.window}"


EVERY_UNIT = Rule("fixed", window=1)
