"""A rival that the task teaches: boundaries of a predictor that was trained with a recogniser.

`train-asr --learn-boundaries HZ` trains it, by dynamic chunking as in H-Net (arXiv 2507.07955); see
`entcomp.tasks.text.boundaries`. This is the same predictor without torch.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from entcomp.artifacts.experiment import Experiment
from entcomp.artifacts.hashes import check_same
from entcomp.artifacts.models import checked_weights
from entcomp.artifacts.packing import check_task
from entcomp.errors import EntcompError
from entcomp.files import read_json, sha256_of
from entcomp.segmentation.criteria import CRITERIA
from entcomp.segmentation.criterion import Style, Threshold, ThresholdCriterion
from entcomp.segmentation.request import Request
from entcomp.segmentation.rows import Predictions
from entcomp.segmentation.rule import Rule
from entcomp.segmentation.sets import calibration_sets

PREFIX = "chunker.predictor."  # of its weights among those of the model
BLOCK = 1 << 16  # units that are computed at once


@CRITERIA.register("learnt")
class Learnt(ThresholdCriterion):
    """Groups begin where a trained predictor's probability exceeds a threshold.

    ``model``: that which it was trained with, by default the recogniser for the asked rate;
    ``calibration``: the sets on which the rate is met, by default those of calibration.json or,
    where there is none, those that the training was validated on. The weights travel in the rule,
    so threshold.json is all that new recordings need. Causal: a unit decides with those before it.
    """

    help = "a boundary predictor trained with a recogniser, by train-asr --learn-boundaries"
    style = Style("#44AA99", "X")
    thresholds = (Threshold("theta_z", unit="probability"),)
    options = {"model": "asr/learntRATE", "calibration": ""}  # noqa: RUF012
    untagged = ("model", "calibration")
    lookahead = 0

    def prepare(
        self, request: Request, experiment: Experiment, frame_shift: float
    ) -> dict[str, Any]:
        """Raises EntcompError for a model that is not there, or that has no predictor."""
        model = _model_of(request)
        folder = experiment.path / check_task(experiment, model)
        facts = read_json(folder / "task.json")
        if info := experiment.find_units_info():
            codebook, remedy = info.codebook_sha256, "train it again, or use another EXP"
            check_same(codebook, facts.get("codebook_sha256"), "codebook", folder, remedy)
        sets = calibration_sets(experiment, str(request.own_options()["calibration"]))
        predictor = Predictor.read(folder)
        return {
            "options": {
                "model": model,
                "calibrated_on": sets or facts.get("dev_sets", []),
                **predictor.as_options(),
            }
        }

    def scores(self, predictions: Predictions, rule: Rule) -> tuple[np.ndarray]:
        units = predictions.forward.astype(np.int64)
        return (_predictor_of(rule).probabilities(units, predictions.first),)

    def reach(self, rule: Rule) -> tuple[int, int]:
        before, after = super().reach(rule)
        return before + _predictor_of(rule).lookback, after

    def describe(self, rule: Rule) -> list[str]:
        return [f"predictor of {rule.options['model']}", *super().describe(rule)]

    def tag(self, request: Request) -> str:
        model = _model_of(request)
        other = [] if model == _default_model(request) else [model.replace("/", "-")]
        return "_".join([super().tag(request), *other])


@dataclass(frozen=True)
class Predictor:
    """`entcomp.tasks.text.boundaries.BoundaryPredictor`, in double precision.

    So its results do not depend on how many units are computed at once. Arrays are float32:
    ``embedding`` (K, C); ``kernels`` (layers, taps, C, C), the last tap for the unit itself, each
    from channels to channels; ``biases`` (layers, C); ``query`` and ``key`` (C, C).
    """

    embedding: np.ndarray
    kernels: np.ndarray
    biases: np.ndarray
    query: np.ndarray
    key: np.ndarray

    @classmethod
    def read(cls, folder: Path) -> Predictor:
        """That of a trained model. Raises EntcompError where it has none."""
        path, _ = checked_weights(folder)
        found = _read_arrays(path)
        if not found:
            raise EntcompError(
                f"{folder}: has no boundary predictor; train one by train-asr --learn-boundaries HZ"
            )
        layers = range(sum(name.endswith(".bias") for name in found))
        kernels = [found[f"convolutions.{one}.weight"].transpose(2, 1, 0) for one in layers]
        biases = [found[f"convolutions.{one}.bias"] for one in layers]
        return cls(
            embedding=found["embedding.weight"][:-1],  # without that of hidden units
            kernels=np.stack(kernels),
            biases=np.stack(biases),
            query=found["query.weight"].T,
            key=found["key.weight"].T,
        )

    @property
    def lookback(self) -> int:
        """How many units before one decide on it."""
        layers, taps, *_ = self.kernels.shape
        return 1 + layers * (taps - 1)

    def as_options(self) -> dict[str, Any]:
        """As a rule holds it: JSON values."""
        arrays = [self.embedding, self.kernels, self.biases, self.query, self.key]
        values = b"".join(np.ascontiguousarray(one, "<f4").tobytes() for one in arrays)
        text = base64.b64encode(values).decode()
        sizes = [*self.embedding.shape, *self.kernels.shape[:2]]
        return {"sizes": sizes, "weights": text, "weights_sha256": sha256_of(text)}

    @classmethod
    def of_options(cls, sizes: tuple[int, ...], weights: str) -> Predictor:
        """The inverse of `as_options`. Raises ValueError for what cannot be."""
        units, dim, layers, taps = sizes
        shapes = [(units, dim), (layers, taps, dim, dim), (layers, dim), (dim, dim), (dim, dim)]
        values = np.frombuffer(base64.b64decode(weights, validate=True), "<f4")
        ends = np.cumsum([np.prod(one) for one in shapes])
        if min(sizes) < 1 or len(values) != ends[-1] or not np.isfinite(values).all():
            raise ValueError("weights of another size, or no numbers")
        parts = np.split(values, ends[:-1])
        return cls(*(part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)))

    def probabilities(self, units: np.ndarray, first: np.ndarray) -> np.ndarray:
        """That each unit begins a group: units int64 (N,) to float32 (N,).

        ``first`` (U,): where utterances begin. Raises EntcompError for what is no unit.
        """
        count = len(self.embedding)
        if units.min() < 0 or units.max() >= count:
            raise EntcompError(f"units outside of 0..{count - 1}: the predictor is of other units")
        position = np.arange(len(units)) - np.repeat(first, np.diff(first, append=len(units)))
        found = np.empty(len(units), np.float32)
        for begin in range(0, len(units), BLOCK):
            before = min(begin, self.lookback)
            block = slice(begin - before, begin + BLOCK)
            found[begin : begin + BLOCK] = self._probabilities(units[block], position[block])[
                before:
            ]
        return found

    def _probabilities(self, units: np.ndarray, position: np.ndarray) -> np.ndarray:
        """Of units that follow each other, and their positions in their utterances."""
        x = self.embedding[units].astype(np.float64)
        for kernel, bias in zip(self.kernels, self.biases, strict=True):
            y = x @ kernel[-1].astype(np.float64) + bias
            for back, tap in enumerate(kernel[-2::-1], start=1):
                y += _earlier(x, back, position) @ tap.astype(np.float64)
            x = x + np.tanh(y)
        query = _unit_length(x @ self.query.astype(np.float64))
        key = _unit_length(x @ self.key.astype(np.float64))
        p = (1 - (query * _earlier(key, 1, position)).sum(axis=1)) / 2
        return np.where(position == 0, 1.0, np.clip(p, 0, 1))


def _earlier(x: np.ndarray, back: int, position: np.ndarray) -> np.ndarray:
    """``x[i - back]`` (N, C) of the same utterance, zeros where it has none there."""
    found = np.zeros_like(x)
    found[back:] = x[:-back]
    found[position < back] = 0
    return found


def _unit_length(x: np.ndarray) -> np.ndarray:
    norm = np.linalg.norm(x, axis=1, keepdims=True)
    return x / np.maximum(norm, 1e-8)


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The predictor's weights among those of a model; none where it has no predictor."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as stored:
            names = [name for name in stored.keys() if name.startswith(PREFIX)]  # noqa: SIM118
            return {name.removeprefix(PREFIX): stored.get_tensor(name) for name in names}
    except SafetensorError as error:
        raise EntcompError(f"{path}: not safetensors ({error}); train the model again") from None


@lru_cache(maxsize=8)
def _decode(sizes: tuple[int, ...], weights: str, sha256: str) -> Predictor:
    if sha256_of(weights) != sha256:
        raise ValueError("its weights are not those that were trained")
    return Predictor.of_options(sizes, weights)


def _predictor_of(rule: Rule) -> Predictor:
    told = rule.options
    return _decode(tuple(told["sizes"]), told["weights"], told["weights_sha256"])


def _default_model(request: Request) -> str:
    return f"asr/learnt{request.target_rate:g}"


def _model_of(request: Request) -> str:
    """As in ``asr/TAG``."""
    model = str(request.own_options()["model"])
    return _default_model(request) if model == Learnt.options["model"] else model
