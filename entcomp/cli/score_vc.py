"""entcomp score-vc"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from entcomp.artifacts.experiment import Experiment
from entcomp.cli.each_set import each_set
from entcomp.cli.options import AllowPipes, Channel, Checkpoint, Data, Exp, Sets
from entcomp.evaluation.voices.metrics import describe_voice_metrics, ready_metrics
from entcomp.kaldi.datadir import DataDir, find_sets
from entcomp.pipelines import score_voices


def score_vc(
    data: Data,
    exp: Exp,
    converted: Annotated[
        list[Path] | None,
        typer.Option(help="Output of convert; may be repeated. By default all in EXP/vc."),
    ] = None,
    asr: Annotated[
        list[str],
        typer.Option(metavar="moonshine|pocketsphinx|asr/TAG|none", help="May be repeated."),
    ] = ["moonshine", "pocketsphinx"],  # noqa: B006 - Typer's
    metric: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME|none",
            help="How unlike the reference it sounds; may be repeated. By default all:\n\n"
            + describe_voice_metrics(),
        ),
    ] = None,
    vocoder: Annotated[
        Path | None, typer.Option(help="The one that convert used; it resynthesises the source.")
    ] = None,
    moonshine: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where its files are.")
    ] = None,
    utmos: Annotated[Path | None, typer.Option(metavar="FILE", help="UTMOS: utmos.jit.")] = None,
    checkpoint: Checkpoint = None,
    sets: Sets = None,
    allow_pipes: AllowPipes = False,
    channel: Channel = None,
) -> None:
    """Score converted speech beside its source and the vocoder's copy of it.

    The table says which judges the model was conditioned on, or takes its units from. Writes
    EXP/vc/scores/<set>: table.md, scores.json, and each utterance's scores.
    """
    experiment = Experiment(exp)
    evaluator = score_voices.open_evaluator(
        experiment, asr, metric or ready_metrics(), moonshine, utmos, checkpoint
    )

    def score(data_set: DataDir) -> None:
        systems = score_voices.find_systems(experiment, data_set.name, converted or [])
        comparison = score_voices.Comparison.open(
            experiment, data_set, systems, evaluator, vocoder, allow_pipes
        )
        print(comparison.score())

    each_set(find_sets(data, sets, channel), sets is not None, score)
