"""entcomp train-st"""

from __future__ import annotations

from typing import Annotated

import typer

from entcomp.cli import text_task
from entcomp.cli.options import Data, Devices, Exp, NumNodes, SkipBad


def train_st(
    data: Data,
    exp: Exp,
    lang: Annotated[str, typer.Option(help="Language to translate to: of DATA/<set>/text.LANG.")],
    segments: text_task.Segments = None,
    pooling: text_task.Pooling = None,
    merge_runs: text_task.MergeRuns = None,
    config: text_task.ConfigFile = None,
    tag: text_task.Tag = None,
    random_rates: text_task.RandomRates = None,
    criterion: text_task.Criterion = "global",
    sets: text_task.TrainSets = "train*",
    dev_sets: text_task.DevSets = "dev*",
    max_steps: text_task.MaxSteps = None,
    seed: text_task.TrainSeed = None,
    devices: Devices = None,
    num_nodes: NumNodes = None,
    skip_bad: SkipBad = False,
) -> None:
    """Train a translator of speech, from units or groups to text: EXP/st/TAG."""
    from entcomp.evaluation.text.languages import language_of

    language_of(lang)  # raises if BLEU will not know it
    options = text_task.TrainingOptions(
        task="st",
        target=f"text.{lang}",
        sets=sets,
        dev_sets=dev_sets,
        segments=segments,
        pooling=pooling,
        merge_runs=merge_runs,
        config=config,
        tag=tag,
        random_rates=random_rates,
        criterion=criterion,
        max_steps=max_steps,
        seed=seed,
        devices=devices,
        num_nodes=num_nodes,
        skip_bad=skip_bad,
    )
    text_task.train(data, exp, options)
