"""From a token rate to thresholds, on the calibration set that score-entropy described."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np

from entcomp.artifacts.calibration import Calibration
from entcomp.artifacts.experiment import Experiment
from entcomp.errors import EntcompError
from entcomp.segmentation.criterion import (
    THETA_G,
    THETA_R,
    EntropyCriterion,
    ThresholdCriterion,
    groups_per_unit,
    spell,
)
from entcomp.segmentation.request import Request
from entcomp.segmentation.rows import Rows, iter_rows
from entcomp.segmentation.rule import Rule, group_starts
from entcomp.segmentation.source import Source
from entcomp.segmentation.theta import paper_rate, to_nats
from entcomp.skipped import SkippedUtterances

# Of the calibration set, where its quantiles alone do not tell the rate: 111 hours at 50 Hz.
SAMPLE_UNITS = 20_000_000
CURVE_UNITS = 500_000  # the same, where many levels are counted
LEVELS = 4097


def resolve(request: Request, experiment: Experiment, frame_shift: float) -> Rule:
    """The rule that a request means, its thresholds in their units; none where it matches a rate.

    ``frame_shift`` is in seconds. Raises EntcompError for a threshold that no entropy exceeds, for
    a rate that the criterion cannot reach, and where a calibration is needed and missing.
    """
    kind, rule = request.kind, _without_thresholds(request, experiment, frame_shift)
    if not isinstance(kind, ThresholdCriterion):
        return rule
    if request.match_rate:
        share = groups_per_unit(wanted_rate(request) or 0, frame_shift)
        return replace(rule, match_rate=request.match_rate, groups_per_unit=share)
    if not kind.directions:
        return _Calibrator(kind, rule, None, experiment, frame_shift).resolve(request)
    calibration = Calibration.find(experiment)
    if request.target_rate is None and request.theta_unit in ("nats", "bits", "normalized"):
        return replace(rule, **_stated(request, kind, experiment, calibration))
    calibration = calibration or Calibration.read(experiment.calibration())
    return _Calibrator(kind, rule, calibration, experiment, frame_shift).resolve(request)


def rate_curve(
    request: Request, experiment: Experiment, frame_shift: float, levels: Iterable[float]
) -> list[tuple[float, Rule]]:
    """Groups a second on the calibration set, and the rule, at each level from 0 to 1.

    A level is the share of the calibration set's values that lie below a threshold; ``request``
    need not say how much to compress. Rates are counted on `CURVE_UNITS` of the set where its
    quantiles do not tell them. Raises EntcompError as `resolve` does.
    """
    rule = _without_thresholds(request, experiment, frame_shift)
    assert isinstance(request.kind, EntropyCriterion)
    calibration = Calibration.read(experiment.calibration())
    given = request.kind, rule, calibration, experiment, frame_shift
    calibrator = _Calibrator(*given, sample_units=CURVE_UNITS)
    return [(calibrator.rate_at(level), calibrator.at(level)) for level in levels]


def _without_thresholds(request: Request, experiment: Experiment, frame_shift: float) -> Rule:
    """All of a rule but the thresholds of criteria on entropies."""
    kind = request.kind
    rule = Rule(
        request.criterion,
        peaks=request.peaks,
        window=request.window,
        seed=request.seed if "seed" in kind.takes else None,
        min_length=request.min_length,
        max_length=request.max_length,
        boundary=request.boundary,
        options=request.own_options(),
    )
    found = kind.prepare(request, experiment, frame_shift)
    return replace(rule, **found | {"options": {**rule.options, **found.get("options", {})}})


def wanted_rate(request: Request) -> float | None:
    """Groups a second that a request aims at: stated, or what the paper's theta stands for."""
    if request.target_rate is not None:
        return request.target_rate
    if isinstance(request.kind, EntropyCriterion) and request.theta_unit == "paper":
        return paper_rate(request.kind.paper, request.given)
    return None


def _grids(calibration: Calibration) -> dict[str, np.ndarray]:
    """Quantiles (Q,) at evenly spaced levels, by name of the threshold compared with them."""
    return {
        THETA_G.name: np.array(calibration.entropy_quantiles),
        THETA_R.name: np.array(calibration.rise_quantiles),
    }


def _stated(
    request: Request,
    kind: ThresholdCriterion,
    experiment: Experiment,
    calibration: Calibration | None,
) -> dict[str, Any]:
    """Thresholds given in nats, bits or normalized."""
    num_clusters = None
    if calibration is not None:
        num_clusters = calibration.num_clusters
    elif info := experiment.find_units_info():
        num_clusters = info.num_clusters
    grids = _grids(calibration) if calibration is not None else {}
    thresholds: dict[str, Any] = {}
    for one in kind.thresholds:
        option, theta = spell((one.option,)), getattr(request, one.option)
        nats = to_nats(theta, request.theta_unit, num_clusters, option)
        thresholds[one.name] = _single(nats)
        if one.name in grids and nats >= (most := grids[one.name][-1]):
            raise EntcompError(
                f"{option} {theta:g} is {nats:.3f} nats, but nothing in the "
                f"calibration set exceeds {most:.3f}; lower it or give --target-rate"
            )
    return thresholds


class _Calibrator:
    """Thresholds by level: the share of the calibration set's values that lie below them.

    ``calibration`` is None where units are read: the rule then names the sets.
    """

    def __init__(
        self,
        kind: ThresholdCriterion,
        rule: Rule,
        calibration: Calibration | None,
        experiment: Experiment,
        frame_shift: float,
        sample_units: int | None = None,
    ) -> None:
        self.kind = kind
        self.rule = rule
        self.calibration = calibration
        self.experiment = experiment
        self.frame_shift = frame_shift
        self.sample_units = sample_units
        self.grids = _grids(calibration) if calibration else {}
        if any(one.name not in self.grids for one in kind.thresholds):
            self._measure()

    def resolve(self, request: Request) -> Rule:
        rate = wanted_rate(request)
        if rate is not None:
            return self.at(find_level(rate, self.rate_at))
        levels = [getattr(request, one.option) for one in self.kind.thresholds]
        if not all(0 <= level < 1 for level in levels):
            raise EntcompError(
                "--theta-unit quantile: a quantile is at least 0 and below 1, as 0.8"
            )
        return self.at(*levels)

    def at(self, *levels: float) -> Rule:
        """The rule with its thresholds at a level: one for all, or one each."""
        thresholds: dict[str, Any] = {}
        each = levels if len(levels) > 1 else levels * len(self.kind.thresholds)
        for one, level in zip(self.kind.thresholds, each, strict=True):
            grid = self.grids[one.name]
            thresholds[one.name] = _single(np.interp(level, np.linspace(0, 1, len(grid)), grid))
        return replace(self.rule, **thresholds)

    def rate_at(self, level: float) -> float:
        """Groups a second on the calibration set, counted where the level does not tell it."""
        rule = self.rule
        plain = rule.min_length == 1 and rule.max_length is None and rule.boundary == "first"
        kind, known = self.kind, self.calibration
        if plain and known and isinstance(kind, EntropyCriterion) and kind.rate_from_quantiles:
            groups = known.utterances + (1 - level) * (known.predictions - known.utterances)
            return groups / (known.units * self.frame_shift)
        counted = np.count_nonzero(group_starts(self.sample, self.at(level), self.scores))
        return counted / (len(self.sample.values) * self.frame_shift)

    def _measure(self) -> None:
        """Quantiles of the scores on the sample, but for the first of each utterance."""
        predictions = self.sample.predictions
        levels = np.linspace(0, 1, LEVELS)
        for one, values in zip(self.kind.thresholds, self.scores, strict=True):
            if one.name not in self.grids:
                counted = np.isfinite(values)
                counted[predictions.first] = False
                known = values[counted] if counted.any() else np.zeros(1)
                self.grids[one.name] = np.quantile(known, levels)

    @cached_property
    def scores(self) -> Sequence[np.ndarray]:
        """Those of the sample, which do not depend on thresholds."""
        return self.kind.scores(self.sample.predictions, self.rule)

    @cached_property
    def sample(self) -> Rows:
        """The calibration set, or what of it is enough."""
        known, sources = self.calibration, []
        for set_name in known.sets if known else self.rule.options["calibrated_on"]:
            source = Source.of(self.experiment, set_name, self.rule.directions)
            source.check_lm("forward", known.lm_sha256 if known else None)
            sources.append(source)
        refuse = SkippedUtterances(skip_bad=False)
        rows = chain.from_iterable(source.rows(refuse) for source in sources)
        sample = next(iter_rows(rows, self.sample_units or SAMPLE_UNITS), None)
        if sample is None and known:
            raise EntcompError(f"{known.path}: its sets hold no entropies; rerun score-entropy")
        if sample is None:
            raise EntcompError(f"{self.experiment.path}: no units to calibrate on; run dump-units")
        is_part = len(sample.lengths) < sum(one.count() for one in sources)
        if known:  # of a pack, whose entropies are a sample themselves
            is_part = len(sample.values) < known.units
        if self.sample_units is None and is_part:
            print(f"calibrated on the first {len(sample.values):,} units of the calibration set")
        return sample


def find_level(rate: float, rate_at: Callable[[float], float]) -> float:
    """The level at which a rate (Hz) is reached, by bisection, as it falls with the level.

    Raises EntcompError for a rate outside the reach.
    """
    least, most = rate_at(1.0), rate_at(0.0)
    if not least <= rate <= most:
        raise EntcompError(
            f"a rate of {rate:g} Hz is out of reach: on the calibration set this criterion gives "
            f"{least:.2f} to {most:.2f} Hz; change --target-rate, the theta or --criterion"
        )
    low, high = 0.0, 1.0
    for _ in range(30):
        level = (low + high) / 2
        reached = rate_at(level)
        if abs(reached - rate) < 1e-4 * rate:
            break
        low, high = (level, high) if reached > rate else (low, level)
    return level


def _single(value: float | np.floating) -> float:
    """The nearest float32, so that every comparison decides alike."""
    return float(np.float32(value))
