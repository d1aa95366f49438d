"""entcomp score-entropy"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from entcomp.cli.options import Data, Exp, Sets, ShardOption, SkipBad

if TYPE_CHECKING:
    from pathlib import Path

    from entcomp.artifacts.experiment import Direction, Experiment
    from entcomp.artifacts.models import LMInfo
    from entcomp.lm.score import Precision, Scorer


class DirectionOption(str, Enum):
    forward = "forward"
    backward = "backward"


class PrecisionOption(str, Enum):
    float32 = "float32"
    bfloat16 = "bfloat16"
    float64 = "float64"


def score_entropy(
    data: Data,
    exp: Exp,
    sets: Sets = None,
    direction: Annotated[
        DirectionOption, typer.Option(help="Of the LM: EXP/lm or EXP/lm_backward.")
    ] = DirectionOption.forward,
    calibration_sets: Annotated[
        str | None,
        typer.Option(metavar="NAMES", help="By default train*, or all sets where there is none."),
    ] = None,
    batch_tokens: Annotated[
        int | None,
        typer.Option(min=1, help="Units at once; by default what suits the device."),
    ] = None,
    precision: Annotated[
        PrecisionOption,
        typer.Option(help="bfloat16: fast, for GPUs. float64: as tokenize and streaming."),
    ] = PrecisionOption.float32,
    shard: ShardOption = "1/1",
    skip_bad: SkipBad = False,
) -> None:
    """Write the entropy of every unit, EXP/entropy/<set>/entropy.{ark,scp}, and calibrate."""
    import time

    from entcomp.artifacts.experiment import Experiment
    from entcomp.artifacts.shard import Shard
    from entcomp.artifacts.units import Units
    from entcomp.kaldi.datadir import find_sets
    from entcomp.lm.score import score_set

    experiment, part = Experiment(exp), Shard.parse(shard)
    chosen = [one.name for one in find_sets(data, sets)]
    scorer = _open_scorer(experiment, direction.value, batch_tokens, precision.value)
    for name in chosen:
        units = Units.open(experiment, name)
        begin = time.monotonic()
        counts = score_set(experiment, units, scorer, part, skip_bad)
        took = time.monotonic() - begin
        print(f"{name}{part.suffix}: {_describe(counts, took)}", flush=True)
    if part.count == 1:
        _calibrate(experiment, data, chosen, calibration_sets, scorer.lm)


def _open_scorer(
    experiment: Experiment, direction: Direction, batch_tokens: int | None, precision: Precision
) -> Scorer:
    from entcomp.lm.checkpoint import load_lm
    from entcomp.lm.score import BATCH_TOKENS, Scorer
    from entcomp.training.evaluation import training_device

    model, config, lm = load_lm(experiment, direction)
    device = training_device()
    tokens = batch_tokens or BATCH_TOKENS[device.type]
    return Scorer(model, config, lm, device, tokens, precision)


def _describe(counts: dict[str, Any] | None, took: float) -> str:
    if counts is None:
        return "complete, skipped"
    return (
        f"{counts['utterances']} utterances, {counts['frames']} units, "
        f"{counts['frames'] / took:,.0f} units/s, {counts['skipped']} utterances skipped"
    )


def _calibrate(
    experiment: Experiment, data: Path, scored: list[str], patterns: str | None, lm: LMInfo
) -> None:
    """Calibrate on the named sets, else on train*, else on all; once they all are scored."""
    from entcomp.kaldi.datadir import find_sets
    from entcomp.lm.calibrate import calibrate, is_scored

    names = [one.name for one in find_sets(data, patterns)]
    if patterns is None:
        names = [name for name in names if name.startswith("train")] or scored
        missing = [name for name in names if not is_scored(experiment, name, lm)]
        if missing:
            print(f"calibration: put off until {', '.join(missing)} are scored as well")
            return
    path = experiment.calibration(lm.direction)
    written = calibrate(experiment, names, lm)
    print(f"{path}: {'on ' + ', '.join(names) if written else 'complete, skipped'}")
