"""Ours: the local maxima of entropy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from entcomp.segmentation.criteria import CRITERIA
from entcomp.segmentation.criterion import EntropyCriterion, Style
from entcomp.segmentation.rows import Predictions
from entcomp.segmentation.rule import Rule
from entcomp.segmentation.theta import M1


@CRITERIA.register("peak")
class Peak(EntropyCriterion):
    """A local maximum of ``H`` above ``theta_g``; the paper's theta means M1's rate."""

    help = "a local maximum of entropy above a threshold"
    style = Style("#D55E00", "D")
    paper = M1
    lookback = 1
    lookahead = 1

    def scores(self, predictions: Predictions, rule: Rule) -> tuple[np.ndarray]:
        return (predictions.forward,)

    def fires(
        self, scores: Sequence[np.ndarray], predictions: Predictions, rule: Rule
    ) -> np.ndarray:
        above = super().fires(scores, predictions, rule)
        return above & predictions.local_maxima(predictions.forward)
