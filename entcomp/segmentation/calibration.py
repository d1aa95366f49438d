"""From a token rate to thresholds, on the calibration set that score-entropy described."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from entcomp.artifacts.experiment import Direction, Experiment
from entcomp.artifacts.hashes import check_same
from entcomp.errors import EntcompError
from entcomp.files import read_json
from entcomp.segmentation.request import Request
from entcomp.segmentation.rows import Rows, iter_rows
from entcomp.segmentation.rule import THRESHOLDS, Rule, edge_scores, group_starts
from entcomp.segmentation.source import Source
from entcomp.segmentation.theta import paper_rate, to_nats
from entcomp.skipped import SkippedUtterances

# Of the calibration set, where its quantiles alone do not tell the rate: 111 hours at 50 Hz.
SAMPLE_UNITS = 20_000_000
LEVELS = 4097


@dataclass(frozen=True)
class Calibration:
    """``EXP/entropy/calibration.json``.

    ``entropy_quantiles`` and ``rise_quantiles`` (Q,) are in nats at evenly spaced levels, over the
    predicted positions but for the first of each utterance; ``mean`` and ``std`` likewise.
    """

    path: Path
    sets: list[str]
    utterances: int
    units: int
    predictions: int
    frame_shift: float
    num_clusters: int
    mean: float
    std: float
    entropy_quantiles: list[float]
    rise_quantiles: list[float]
    lm_sha256: str | None = None
    codebook_sha256: str | None = None

    @classmethod
    def read(cls, path: Path) -> Calibration:
        """Raises EntcompError for a missing or incomplete file."""
        values = read_json(path)
        known = {field.name for field in fields(cls)} & values.keys()
        try:
            return cls(path=path, **{name: values[name] for name in known})
        except TypeError as error:
            raise EntcompError(f"{path}: {error}; rerun score-entropy") from None

    @classmethod
    def find(cls, experiment: Experiment, direction: Direction = "forward") -> Calibration | None:
        """The experiment's calibration, or None where there is none."""
        path = experiment.calibration(direction)
        return cls.read(path) if path.exists() else None

    def check_codebook(self, codebook_sha256: str | None) -> None:
        """Raises EntcompError if it was made with another codebook."""
        remedy = "rerun score-entropy, or use another EXP"
        check_same(codebook_sha256, self.codebook_sha256, "codebook", self.path, remedy)

    @property
    def moments(self) -> tuple[float, float]:
        return self.mean, self.std


def resolve(request: Request, experiment: Experiment, frame_shift: float) -> Rule:
    """The rule that a request means, its thresholds in nats.

    ``frame_shift`` is in seconds. Raises EntcompError for a threshold that no entropy exceeds, for
    a rate that the criterion cannot reach, and where a calibration is needed and missing.
    """
    rule = Rule(
        request.criterion,
        peaks=request.peaks,
        window=request.window,
        seed=request.seed if request.criterion == "random" else None,
        min_length=request.min_length,
        max_length=request.max_length,
    )
    if not request.on_entropies:
        return replace(rule, groups_per_unit=_groups_per_unit(request, frame_shift))
    calibration = Calibration.find(experiment)
    if request.target_rate is None and request.theta_unit in ("nats", "bits", "normalized"):
        return replace(rule, **_stated(request, experiment, calibration))
    if calibration is None:
        raise EntcompError(
            f"{experiment.calibration()}: no such file; run score-entropy first, or give "
            "thresholds with --theta-unit nats"
        )
    return _Calibrator(rule, calibration, experiment, frame_shift).resolve(request)


def wanted_rate(request: Request) -> float | None:
    """Groups a second that a request aims at: stated, or what the paper's theta stands for."""
    if request.target_rate is not None:
        return request.target_rate
    if request.on_entropies and request.theta_unit == "paper":
        return paper_rate(request.theta_g, request.theta_r)
    return None


def _groups_per_unit(request: Request, frame_shift: float) -> float | None:
    if request.target_rate is None:
        return None
    if request.target_rate * frame_shift > 1:
        raise EntcompError(
            f"--target-rate {request.target_rate:g}: there are only {1 / frame_shift:.4g} units a "
            "second to group; lower it"
        )
    return request.target_rate * frame_shift


def _stated(
    request: Request, experiment: Experiment, calibration: Calibration | None
) -> dict[str, Any]:
    """Thresholds given in nats, bits or normalized."""
    num_clusters = None
    if calibration is not None:
        num_clusters = calibration.num_clusters
    elif experiment.units_json.exists():
        num_clusters = experiment.units_info().num_clusters
    thresholds: dict[str, Any] = {}
    for name in THRESHOLDS[request.criterion]:
        option = f"--{name.replace('_', '-')}"
        nats = to_nats(getattr(request, name), request.theta_unit, num_clusters, option)
        thresholds[name] = _single(nats)
        if calibration is not None:
            most = _quantiles(calibration)[name][-1]
            if nats >= most:
                raise EntcompError(
                    f"{option} {getattr(request, name):g} is {nats:.3f} nats, but nothing in the "
                    f"calibration set exceeds {most:.3f}; lower it or give --target-rate"
                )
    return thresholds


class _Calibrator:
    """Thresholds by level: the share of the calibration set's values that lie below them."""

    def __init__(
        self, rule: Rule, calibration: Calibration, experiment: Experiment, frame_shift: float
    ) -> None:
        self.rule = rule
        self.calibration = calibration
        self.experiment = experiment
        self.frame_shift = frame_shift
        self.quantiles = _quantiles(calibration)
        self.sample: Rows | None = None
        if rule.criterion == "bidirectional":
            self._standardise()

    def resolve(self, request: Request) -> Rule:
        rate = wanted_rate(request)
        if rate is not None:
            return self.at(find_level(rate, self.rate_at))
        levels = [level for level in (request.theta_g, request.theta_r) if level is not None]
        if not all(0 <= level < 1 for level in levels):
            raise EntcompError("--theta-unit quantile: a quantile is at least 0 and below 1")
        return self.at(*levels)

    def at(self, level: float, level_r: float | None = None) -> Rule:
        """The rule with its thresholds at a level; ``level_r`` is the second one's, if apart."""
        thresholds: dict[str, Any] = {}
        for name in THRESHOLDS[self.rule.criterion]:
            grid = self.quantiles[name]
            thresholds[name] = _single(np.interp(level, np.linspace(0, 1, len(grid)), grid))
            level = level if level_r is None else level_r
        return replace(self.rule, **thresholds)

    def rate_at(self, level: float) -> float:
        """Groups a second on the calibration set.

        One threshold alone fires on a known share of the positions; peaks, two thresholds and
        limits on the length have to be counted.
        """
        plain = self.rule.min_length == 1 and self.rule.max_length is None
        if plain and self.rule.criterion in ("global", "relative"):
            known = self.calibration
            groups = known.utterances + (1 - level) * (known.predictions - known.utterances)
            return groups / (known.units * self.frame_shift)
        self.sample = self.sample or self._read_sample()
        counted = np.count_nonzero(group_starts(self.sample, self.at(level)))
        return counted / (len(self.sample.values) * self.frame_shift)

    def _standardise(self) -> None:
        backward = Calibration.read(self.experiment.calibration("backward"))
        self.rule = replace(self.rule, moments=(self.calibration.moments, backward.moments))
        self.sample = self._read_sample()
        scores = edge_scores(self.sample, self.rule)
        scores = scores[np.isfinite(scores)]
        self.quantiles["theta_z"] = np.quantile(scores, np.linspace(0, 1, LEVELS))

    def _read_sample(self) -> Rows:
        sources = []
        for set_name in self.calibration.sets:
            source = Source.of(self.experiment, set_name, self.rule.criterion)
            source.check_lm("forward", self.calibration.lm_sha256)
            sources.append(source)
        refuse = SkippedUtterances(skip_bad=False)
        rows = chain.from_iterable(source.rows(refuse) for source in sources)
        sample = next(iter_rows(rows, SAMPLE_UNITS))
        if len(sample.values) < self.calibration.units:
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


def _quantiles(calibration: Calibration) -> dict[str, np.ndarray]:
    return {
        "theta_g": np.array(calibration.entropy_quantiles),
        "theta_r": np.array(calibration.rise_quantiles),
    }


def _single(value: float | np.floating) -> float:
    """The nearest float32, so that every comparison decides alike."""
    return float(np.float32(value))
