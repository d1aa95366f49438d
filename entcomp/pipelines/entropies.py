"""Entropies of an experiment's sets, and when they are calibrated."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from entcomp.artifacts.calibration import Calibration
from entcomp.artifacts.experiment import Direction, Experiment
from entcomp.artifacts.models import LMInfo
from entcomp.artifacts.shard import Shard
from entcomp.artifacts.units import Units
from entcomp.kaldi.datadir import find_sets, preferred
from entcomp.lm.calibrate import calibrate, is_scored
from entcomp.lm.score import Precision, Scorer, score_set
from entcomp.training.evaluation import training_device


def open_scorer(
    experiment: Experiment, direction: Direction, batch_tokens: int | None, precision: Precision
) -> Scorer:
    """The LM of a direction on this machine's device; None is as many units as suit the device."""
    return Scorer.open(experiment, direction, training_device(), batch_tokens, precision)


def score_sets(
    experiment: Experiment, names: Sequence[str], scorer: Scorer, shard: Shard, skip_bad: bool
) -> Iterator[str]:
    """Write the entropies of each set; yields what was done."""
    for name in names:
        units = Units.open(experiment, name)
        begin = time.monotonic()
        counts = score_set(experiment, units, scorer, shard, skip_bad)
        took = time.monotonic() - begin
        yield f"{name}{shard.suffix}: {_describe(counts, took)}"


def calibrate_on(experiment: Experiment, data: Path, patterns: str | None, lm: LMInfo) -> str:
    """Calibrate on the named sets; says so.

    Without names, on those that this LM was calibrated on before, else on dev*, else on train*,
    whose entropies are lower, as the LM has learnt from them, else on all; it waits until they are
    scored, so that thresholds do not depend on what was scored last.
    """
    path = experiment.calibration(lm.direction)
    names = [one.name for one in find_sets(data, patterns)]
    if patterns is None:
        known = Calibration.find(experiment, lm.direction)
        if known is not None and known.lm_sha256 == lm.lm_sha256:
            names = known.sets
        else:
            names = [one.name for one in preferred(find_sets(data), "dev", "train")]
        missing = [name for name in names if not is_scored(experiment, name, lm)]
        if missing:
            return (
                f"calibration: put off until {', '.join(missing)} are scored as well; or name "
                "others by --calibration-sets"
            )
    written = calibrate(experiment, names, lm)
    return f"{path}: {'on ' + ', '.join(names) if written else 'complete, skipped'}"


def _describe(counts: dict[str, Any] | None, took: float) -> str:
    if counts is None:
        return "complete, skipped"
    return (
        f"{counts['utterances']} utterances, {counts['frames']} units, "
        f"{counts['frames'] / took:,.0f} units/s, {counts['skipped']} utterances skipped"
    )
