"""M1 of the paper (section 3.3): a threshold on entropy."""

from __future__ import annotations

import numpy as np

from entcomp.segmentation.criteria import CRITERIA
from entcomp.segmentation.criterion import EntropyCriterion, Style
from entcomp.segmentation.rows import Predictions
from entcomp.segmentation.rule import Rule
from entcomp.segmentation.theta import M1


@CRITERIA.register("global")
class GlobalThreshold(EntropyCriterion):
    """``H_i > theta_g``."""

    help = "entropy above a threshold: M1 of the paper"
    style = Style("#0072B2", "o")
    implied_by = ("theta_g",)
    paper = M1
    rate_from_quantiles = True
    lookahead = 0

    def scores(self, predictions: Predictions, rule: Rule) -> tuple[np.ndarray]:
        return (predictions.forward,)
