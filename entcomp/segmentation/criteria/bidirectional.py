"""Ours: entropies of a forward LM and of an LM over reversed units (branching entropy, Harris)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from entcomp.artifacts.calibration import Calibration
from entcomp.artifacts.experiment import Experiment
from entcomp.segmentation.criteria import CRITERIA
from entcomp.segmentation.criterion import EntropyCriterion, Style, Threshold
from entcomp.segmentation.request import Request
from entcomp.segmentation.rows import Predictions
from entcomp.segmentation.rule import Rule
from entcomp.segmentation.theta import M1


@CRITERIA.register("bidirectional")
class Bidirectional(EntropyCriterion):
    """Surprise on both sides of the edge between ``i - 1`` and ``i``: ``z(H_i) + z(H'_{i-1})``.

    Each entropy is standardised on the calibration set: given all on the left, and given all on
    the right. With ``--peaks`` only where the score has a local maximum. The paper's theta means
    M1's rate. An LM over runs of equal units predicts each run once in each direction, though not
    always at the same frame of it, so the two are paired run by run.
    """

    help = "entropies of the forward and the backward LM, standardised and added"
    style = Style("#CC79A7", "v")
    takes = ("peaks",)
    directions = ("forward", "backward")
    thresholds = (Threshold("theta_z", unit="sd"),)
    paper = M1

    def prepare(
        self, request: Request, experiment: Experiment, frame_shift: float
    ) -> dict[str, Any]:
        paths = (experiment.calibration(direction) for direction in self.directions)
        return {"moments": tuple(Calibration.read(path).moments for path in paths)}

    def scores(self, predictions: Predictions, rule: Rule) -> tuple[np.ndarray]:
        if predictions.backward is None or rule.moments is None:
            raise ValueError(f"not a resolved rule, or no backward entropies: {rule}")
        score = _standardise(predictions.forward, rule.moments[0])
        score[1:] += _standardise(predictions.backward[:-1], rule.moments[1])
        score[predictions.first] = -np.inf  # there is no edge inside
        return (score,)

    def fires(
        self, scores: Sequence[np.ndarray], predictions: Predictions, rule: Rule
    ) -> np.ndarray:
        above = super().fires(scores, predictions, rule)
        return above & predictions.local_maxima(scores[0]) if rule.peaks else above

    def styles(self, name: str) -> dict[str, Style]:
        return {name: self.style, f"{name} peaks": Style("#56B4E9", "P")}


def _standardise(entropy: np.ndarray, moments: tuple[float, float]) -> np.ndarray:
    """``(H - mean) / std`` in float32."""
    mean, std = np.float32(moments[0]), np.float32(moments[1])
    return (entropy - mean) / std
