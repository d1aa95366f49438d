"""M3 of the paper (section 3.3): thresholds on entropy and on its rise."""

from __future__ import annotations

import numpy as np

from entcomp.segmentation.criteria import CRITERIA
from entcomp.segmentation.criterion import THETA_G, THETA_R, EntropyCriterion, Style
from entcomp.segmentation.rows import Predictions
from entcomp.segmentation.rule import Rule
from entcomp.segmentation.theta import M3


@CRITERIA.register("combined")
class Combined(EntropyCriterion):
    """``H_i > theta_g`` and ``H_i - H_{i-1} > theta_r``.

    AND, as the paper's M3 thresholds are lower than M1's and M2's at the same rate.
    """

    help = "entropy and its rise above thresholds: M3 of the paper"
    style = Style("#009E73", "^")
    strengths = (("theta_g", "theta_r"), ("target_rate",))
    implied_by = ("theta_g", "theta_r")
    thresholds = (THETA_G, THETA_R)
    paper = M3
    lookback = 1
    lookahead = 0

    def scores(self, predictions: Predictions, rule: Rule) -> tuple[np.ndarray, np.ndarray]:
        return predictions.forward, predictions.rise
