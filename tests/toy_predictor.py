"""Boundary predictors with random weights: of a model, and as a rule's options hold them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from entcomp.artifacts.experiment import Experiment
from entcomp.files import write_json
from entcomp.segmentation.criteria.learnt import PREFIX, Predictor
from entcomp.tasks.text.boundaries import BoundaryPredictor
from entcomp.tasks.text.config import BoundariesConfig
from entcomp.training.weights import write_weights


def toy_predictor(units: int, dim: int = 6, layers: int = 2, taps: int = 3) -> Predictor:
    generator = np.random.default_rng(0)
    shapes = [(units, dim), (layers, taps, dim, dim), (layers, dim), (dim, dim), (dim, dim)]
    return Predictor(*(generator.normal(size=shape).astype(np.float32) for shape in shapes))


def toy_options(units: int) -> dict[str, Any]:
    """Those of a rule of the criterion learnt."""
    return {"model": "asr/toy", "calibrated_on": ["dev"], **toy_predictor(units).as_options()}


def add_predictor(
    experiment: Experiment, tag: str, seed: int, prefix: str = PREFIX, dev_set: str = "dev"
) -> BoundaryPredictor:
    """What segment reads of a recogniser: a predictor's weights and task.json."""
    torch.manual_seed(seed)
    units = experiment.units_info()
    config = BoundariesConfig(target_rate=10.0, dim=8, layers=2, kernel=3)
    predictor = BoundaryPredictor(config, units.num_clusters + 1)
    folder = experiment.task("asr", tag)
    weights = {prefix + name: one for name, one in predictor.state_dict().items()}
    write_weights(folder / "model.safetensors", weights)
    facts = {"codebook_sha256": units.codebook_sha256, "dev_sets": [dev_set]}
    write_json(folder / "task.json", facts)
    return predictor
