"""M2 of the paper (section 3.3): a threshold on the rise of entropy."""

from __future__ import annotations

import numpy as np

from entcomp.segmentation.criteria import CRITERIA
from entcomp.segmentation.criterion import THETA_R, EntropyCriterion, Style
from entcomp.segmentation.rows import Predictions
from entcomp.segmentation.rule import Rule
from entcomp.segmentation.theta import M2


@CRITERIA.register("relative")
class Relative(EntropyCriterion):
    """``H_i - H_{i-1} > theta_r``."""

    help = "a rise of entropy above a threshold: M2 of the paper"
    style = Style("#E69F00", "s")
    strengths = (("theta_r",), ("target_rate",))
    implied_by = ("theta_r",)
    thresholds = (THETA_R,)
    paper = M2
    rate_from_quantiles = True
    lookback = 1
    lookahead = 0

    def scores(self, predictions: Predictions, rule: Rule) -> tuple[np.ndarray]:
        return (predictions.rise,)
