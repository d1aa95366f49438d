"""What a criterion says about itself: all that segment, streaming, report and ``--help`` ask it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from entcomp.artifacts.experiment import Direction, Experiment
from entcomp.errors import EntcompError
from entcomp.segmentation.source import Source
from entcomp.segmentation.theta import Published

if TYPE_CHECKING:
    from entcomp.segmentation.request import Request
    from entcomp.segmentation.rows import Predictions, Rows
    from entcomp.segmentation.rule import Rule

Options = tuple[str, ...]  # names of `Request`'s fields, such as ("theta_g", "theta_r")


def spell(options: Iterable[str]) -> str:
    """``--theta-g and --theta-r``, from names of fields."""
    return " and ".join("--" + name.replace("_", "-") for name in options)


def groups_per_unit(rate: float, frame_shift: float) -> float:
    """A rate in Hz, by units of ``frame_shift`` seconds. Raises EntcompError above 1."""
    if rate * frame_shift > 1:
        raise EntcompError(
            f"--target-rate {rate:g}: there are only {1 / frame_shift:.4g} "
            "units a second to group; lower it"
        )
    return rate * frame_shift


@dataclass(frozen=True)
class Style:
    """How figures show a criterion: Matplotlib's colour, marker, and line where it is chance."""

    color: str = "#000000"
    marker: str = "h"
    line: str = "-"


@dataclass(frozen=True)
class Threshold:
    """A number that a score has to exceed; kept as float32, so that all comparisons decide alike.

    ``name`` is where `Rule` keeps it: ``theta_g`` is compared with the forward entropy, ``theta_r``
    with its rise (calibration.json has quantiles of both), ``theta_z`` with a score of the
    criterion's own, whose quantiles are measured on the calibration set. ``unit``: ``nats``, at
    most ln K, or another, such as ``sd``; then nats, bits and normalized cannot state it.
    ``option`` is the one that states it.
    """

    name: str
    unit: str = "nats"
    option: str = "theta_g"


THETA_G = Threshold("theta_g")
THETA_R = Threshold("theta_r", option="theta_r")


class Criterion(ABC):
    """Where groups of units begin. Only ``help`` and `starts` have no default.

    ``help``: its line in ``--help``. ``style``: its colour and marker in figures.
    ``strengths``: which options say how much it compresses; one of these sets has to be given.
    ``implied_by``: the set that means this criterion where ``--criterion`` is left out.
    ``takes``: which of ``peaks`` and ``seed`` it takes besides.
    ``options``: those of its own, ``--option NAME=VALUE``, and their defaults (str, int or float);
    ``untagged`` are those that the end of a tag does not name.
    ``directions``: of the LMs whose entropies it reads; none where it reads units.
    ``lookahead``: see `ThresholdCriterion`; None where it cannot stream.
    ``chance_draws``: how often align-eval draws it, where it stands for chance at a rate.
    """

    help: ClassVar[str]
    style: ClassVar[Style] = Style()
    strengths: ClassVar[tuple[Options, ...]] = (("target_rate",),)
    implied_by: ClassVar[Options | None] = None
    takes: ClassVar[Options] = ()
    options: ClassVar[Mapping[str, str | int | float]] = {}
    untagged: ClassVar[Options] = ()
    directions: ClassVar[tuple[Direction, ...]] = ()
    lookahead: ClassVar[int | None] = None
    chance_draws: ClassVar[int] = 0

    @abstractmethod
    def starts(self, rows: Rows, rule: Rule) -> np.ndarray:
        """Which units start a group: bool (N,). Unit 0 of an utterance does, whatever this says."""

    def source(self, request: Request, experiment: Experiment, set_name: str) -> Source:
        """What it reads of a set. Raises EntcompError naming the stage that was not run."""
        return Source.of(experiment, set_name, self.directions)

    def prepare(
        self, request: Request, experiment: Experiment, frame_shift: float
    ) -> dict[str, Any]:
        """Fields of `Rule` that are read or learnt from files before thresholds are looked for.

        ``frame_shift`` is in seconds. What it puts into ``options`` is added to those given; a
        file's hash belongs there, so that a new file is noticed.
        """
        return {}

    def tag(self, request: Request) -> str:
        """What a tag begins with: how much it compresses and, unless that implies it, its name."""
        given = request.given
        unit = given.pop("theta_unit", "paper")
        parts = []
        for name, value in given.items():
            in_unit = unit if name.startswith("theta") and unit != "paper" else ""
            parts.append(f"{name.removeprefix('target_')}{value:g}{in_unit}")
        return "_".join(parts if request.is_implied else [*parts, request.criterion])

    def styles(self, name: str) -> dict[str, Style]:
        """The style of each of its variants that figures tell apart; ``name`` is its own."""
        return {name: self.style}

    def describe(self, rule: Rule) -> list[str]:
        """What `segment` says of a rule beside the criterion's name."""
        return []

    def bits_per_group(self, num_clusters: int, rule: Rule) -> float | None:
        """What a group costs where it is one of so many symbols; None where its content is more."""
        return None


class ThresholdCriterion(Criterion):
    """A criterion that compares scores with thresholds.

    Only ``help``, ``thresholds`` and `scores` have no default. ``thresholds``: one for each score.
    ``lookahead``: how many predictions after one decide on it, and ``lookback`` how many before it;
    see `reach`. A lookahead of None: it has to know the complete utterance. Where it reads units,
    not entropies, each is a prediction, and `prepare` puts the names of the sets that it is
    calibrated on into ``calibrated_on`` of its options.
    """

    thresholds: ClassVar[tuple[Threshold, ...]]
    lookback: ClassVar[int] = 0

    @abstractmethod
    def scores(self, predictions: Predictions, rule: Rule) -> Sequence[np.ndarray]:
        """Float32 (P,) for each threshold, in its unit. Thresholds of ``rule`` are not known yet.

        What stands at an utterance's first prediction matters only where the boundary is ``last``.
        """

    def fires(
        self, scores: Sequence[np.ndarray], predictions: Predictions, rule: Rule
    ) -> np.ndarray:
        """Where each score exceeds its threshold: bool (P,)."""
        above = [
            score > rule.threshold(threshold.name)
            for score, threshold in zip(scores, self.thresholds, strict=True)
        ]
        return np.logical_and.reduce(above) if len(above) > 1 else above[0]

    def describe(self, rule: Rule) -> list[str]:
        """Its thresholds, or on what they are resolved."""
        if rule.match_rate:
            return [f"thresholds by {rule.match_rate}"]
        return [
            f"{one.name} = {rule.threshold(one.name):.4f} {one.unit}" for one in self.thresholds
        ]

    def decide(
        self, predictions: Predictions, rule: Rule, scores: Sequence[np.ndarray] | None = None
    ) -> np.ndarray:
        """Which predictions start a group: bool (P,), by their `scores`, where these are known.

        Those that fire or, where the boundary is ``last``, those after them: section 3.3 of the
        paper to the letter, g_j = u_{b_{j-1}+1} .. u_{b_j}.
        """
        if scores is None:
            scores = self.scores(predictions, rule)
        fires = self.fires(scores, predictions, rule)
        return predictions.following(fires) if rule.boundary == "last" else fires

    def reach(self, rule: Rule) -> tuple[int, int]:
        """How many predictions before and after one decide whether it starts a group.

        Raises ValueError where that takes the complete utterance.
        """
        if self.lookahead is None:
            raise ValueError(f"a criterion that cannot stream: {rule}")
        if rule.boundary == "last":
            return self.lookback + 1, max(0, self.lookahead - 1)
        return self.lookback, self.lookahead

    def starts(
        self, rows: Rows, rule: Rule, scores: Sequence[np.ndarray] | None = None
    ) -> np.ndarray:
        """As it decides; a unit without a prediction (NaN) starts nothing."""
        starts = np.zeros(len(rows.values), bool)
        starts[rows.predicted] = self.decide(rows.predictions, rule, scores)
        return starts


class EntropyCriterion(ThresholdCriterion):
    """A criterion that compares scores of the LM's predictions with thresholds.

    Only ``help`` and `scores` have no default. ``paper``: the published pairs of theta and rate
    (`theta.M1` ...); none where the paper's thetas mean nothing. ``rate_from_quantiles``: it fires
    wherever its one score, of which calibration.json has quantiles, exceeds the threshold, so that
    the rate need not be counted.
    """

    strengths: ClassVar[tuple[Options, ...]] = (("theta_g",), ("target_rate",))
    directions: ClassVar[tuple[Direction, ...]] = ("forward",)
    thresholds: ClassVar[tuple[Threshold, ...]] = (THETA_G,)
    paper: ClassVar[Published] = {}
    rate_from_quantiles: ClassVar[bool] = False


class SpacedCriterion(Criterion):
    """Groups from the number of units alone, as many as come nearest to ``--target-rate``."""

    def prepare(
        self, request: Request, experiment: Experiment, frame_shift: float
    ) -> dict[str, Any]:
        """Raises EntcompError for more groups than units."""
        assert request.target_rate is not None
        return {"groups_per_unit": groups_per_unit(request.target_rate, frame_shift)}

    def tag(self, request: Request) -> str:
        return f"{request.criterion}{request.target_rate:g}"

    def group_counts(self, lengths: np.ndarray, rule: Rule) -> np.ndarray:
        """How many groups come nearest to the rate in each utterance (U,): 1 to its length."""
        if rule.groups_per_unit is None:
            raise ValueError(f"not a resolved rule: {rule}")
        return np.clip(np.rint(lengths * rule.groups_per_unit), 1, lengths).astype(np.int64)
