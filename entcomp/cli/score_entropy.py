"""entcomp score-entropy"""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from entcomp.artifacts.experiment import Direction, Experiment
from entcomp.artifacts.shard import Shard
from entcomp.cli.options import Data, Exp, Sets, ShardOption, SkipBad
from entcomp.kaldi.datadir import find_sets
from entcomp.pipelines import entropies


def score_entropy(
    data: Data,
    exp: Exp,
    sets: Sets = None,
    direction: Annotated[
        Direction, typer.Option(help="Of the LM: EXP/lm or EXP/lm_backward.")
    ] = "forward",
    calibration_sets: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="By default those of before, else dev*, train*, or all sets where there is none.",
        ),
    ] = None,
    batch_tokens: Annotated[
        int | None,
        typer.Option(min=1, help="Units at once; by default what suits the device."),
    ] = None,
    precision: Annotated[
        Literal["float32", "bfloat16"],
        typer.Option(help="bfloat16 is fast, and for GPUs."),
    ] = "float32",
    shard: ShardOption = "1/1",
    skip_bad: SkipBad = False,
) -> None:
    """Write the entropy of every unit, EXP/entropy/<set>/entropy.{ark,scp}, and calibrate."""
    experiment, part = Experiment(exp), Shard.parse(shard)
    chosen = [one.name for one in find_sets(data, sets)]
    scorer = entropies.open_scorer(experiment, direction, batch_tokens, precision)
    for line in entropies.score_sets(experiment, chosen, scorer, part, skip_bad):
        print(line, flush=True)
    if part.count == 1:
        done = entropies.calibrate_on(experiment, data, calibration_sets, scorer.lm)
        print(done)
