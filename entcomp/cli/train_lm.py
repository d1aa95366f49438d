"""entcomp train-lm"""

from __future__ import annotations

from typing import Annotated

import typer

from entcomp.artifacts.experiment import Experiment
from entcomp.cli.options import Data, Exp, SkipBad
from entcomp.cli.spread import spread
from entcomp.cli.training import Training
from entcomp.pipelines import train_lm as pipeline


@spread
def train_lm(
    data: Data,
    exp: Exp,
    *,
    direction: Annotated[
        str | None,
        typer.Option(metavar="forward|backward", help="Backward: trained on reversed units."),
    ] = None,
    lm_units: Annotated[
        str | None, typer.Option(metavar="raw|dedup", help="Dedup: repeats are collapsed.")
    ] = None,
    training: Training,
    skip_bad: SkipBad = False,
) -> None:
    """Train the entropy LM on units: EXP/lm, or EXP/lm_backward."""
    changes = training.changed(direction=direction, lm_units=lm_units)
    sets = training.find_sets(data)
    print(pipeline.train_entropy_lm(Experiment(exp), sets, training.config, changes, skip_bad))
