"""entcomp train-lm"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from entcomp.cli.options import Data, Devices, Exp, NumNodes, SkipBad, given

if TYPE_CHECKING:
    from entcomp.lm.config import LMConfig


def train_lm(
    data: Data,
    exp: Exp,
    config: Annotated[
        Path | None,
        typer.Option(metavar="YAML", help="See conf/lm/; by default the small model."),
    ] = None,
    direction: Annotated[
        str | None,
        typer.Option(metavar="forward|backward", help="Backward: trained on reversed units."),
    ] = None,
    lm_units: Annotated[
        str | None, typer.Option(metavar="raw|dedup", help="Dedup: repeats are collapsed.")
    ] = None,
    sets: Annotated[str, typer.Option(metavar="NAMES", help="Sets to train on.")] = "train*",
    dev_sets: Annotated[
        str, typer.Option(metavar="NAMES", help="Sets that decide what is kept.")
    ] = "dev*",
    max_steps: Annotated[
        int | None, typer.Option(help="Instead of the config's; more than before: go on.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Instead of the config's.")] = None,
    devices: Devices = None,
    num_nodes: NumNodes = None,
    skip_bad: SkipBad = False,
) -> None:
    """Train the entropy LM on units: EXP/lm, or EXP/lm_backward."""
    from entcomp.artifacts.experiment import Experiment
    from entcomp.kaldi.datadir import find_sets
    from entcomp.lm.train import train_lm

    experiment = Experiment(exp)
    resolved = _resolve(
        config,
        given(direction=direction, lm_units=lm_units),
        given(max_steps=max_steps, seed=seed, devices=devices, num_nodes=num_nodes),
    )
    names = [[one.name for one in find_sets(data, patterns)] for patterns in (sets, dev_sets)]
    folder = experiment.lm(resolved.direction)
    lm = train_lm(experiment, names[0], names[1], resolved, skip_bad)
    if lm is None:
        print(f"{folder}: complete, skipped")
        return
    reached = lm.nats_per_unit
    print(f"{folder}: " + ", ".join(f"{name} {value:.3f}" for name, value in reached.items()))
    if reached["lm"] >= min(reached["unigram"], reached["bigram"]):
        print(f"{folder}: warning: no better than n-grams; train it longer, or on more units")


def _resolve(path: Path | None, values: dict[str, Any], training: dict[str, Any]) -> LMConfig:
    """The config file, or the defaults, with what the command line says over it."""
    from entcomp.config import load_config, make_config
    from entcomp.lm.config import LMConfig

    base = load_config(LMConfig, path) if path else LMConfig()
    merged = base.model_dump() | values
    merged["training"] |= training
    return make_config(LMConfig, merged, source=str(path or "train-lm"))
