"""A boundary predictor with random weights, as a rule's options hold it."""

from __future__ import annotations

from typing import Any

import numpy as np

from entcomp.segmentation.criteria.learnt import Predictor


def toy_predictor(units: int, dim: int = 6, layers: int = 2, taps: int = 3) -> Predictor:
    generator = np.random.default_rng(0)
    shapes = [(units, dim), (layers, taps, dim, dim), (layers, dim), (dim, dim), (dim, dim)]
    return Predictor(*(generator.normal(size=shape).astype(np.float32) for shape in shapes))


def toy_options(units: int) -> dict[str, Any]:
    """Those of a rule of the criterion learnt."""
    return {"model": "asr/toy", "calibrated_on": ["dev"], **toy_predictor(units).as_options()}
