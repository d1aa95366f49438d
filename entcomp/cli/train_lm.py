"""entcomp train-lm"""

from __future__ import annotations

import logging
from typing import Annotated

import typer

from entcomp.artifacts.experiment import Experiment
from entcomp.cli.options import Data, Exp, SkipBad, spread
from entcomp.cli.training import Training
from entcomp.config import resolve_config
from entcomp.lm import train
from entcomp.lm.config import LMConfig

log = logging.getLogger(__name__)


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
    experiment = Experiment(exp)
    changes = training.changed(direction=direction, lm_units=lm_units)
    config = resolve_config(LMConfig(), training.config, changes)
    train_sets, dev_sets = ([one.name for one in sets] for sets in training.find_sets(data))
    folder = experiment.lm(config.direction)
    lm = train.train_lm(experiment, train_sets, dev_sets, config, skip_bad)
    if lm is None:
        print(f"{folder}: complete, skipped")
        return
    reached = lm.nats_per_unit
    print(f"{folder}: " + ", ".join(f"{name} {value:.3f}" for name, value in reached.items()))
    if reached["lm"] >= min(reached["unigram"], reached["bigram"]):
        log.warning("%s: no better than n-grams; train it longer, or on more units", folder)
