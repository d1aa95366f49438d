"""entcomp bench-latency"""

from __future__ import annotations

from typing import Annotated

import typer

from entcomp.artifacts.experiment import Experiment
from entcomp.cli.options import AllowPipes, Channel, Checkpoint, Data, Exp
from entcomp.kaldi.datadir import find_sets
from entcomp.pipelines import latency


def bench_latency(
    data: Data,
    exp: Exp,
    models: Annotated[
        str, typer.Option(metavar="TASK/TAG,...", help="Trained models, separated by commas.")
    ],
    sets: Annotated[str, typer.Option(metavar="NAMES", help="Sets to measure.")] = "test*",
    utterances: Annotated[int, typer.Option(min=1, help="How many, from the first on.")] = 50,
    warm_up: Annotated[
        int, typer.Option(min=0, help="Utterances before the measurement starts.")
    ] = 5,
    repeats: Annotated[
        int, typer.Option(min=1, help="Repeat each measurement; the shortest counts.")
    ] = 1,
    beam: Annotated[
        int | None, typer.Option(min=1, help="Beam size, instead of the model's.")
    ] = None,
    cpu_time: Annotated[
        bool,
        typer.Option("--cpu-time", help="Measure CPU time on one thread: for a busy machine."),
    ] = False,
    checkpoint: Checkpoint = None,
    allow_pipes: AllowPipes = False,
    channel: Channel = None,
) -> None:
    """Measure the time from a waveform to its text, stage by stage, one utterance at a time.

    Every model decodes as many text pieces as the reference has, so that the time does not depend
    on how well it was trained; with CTC, at most as many as there are groups. The models take
    turns, so that what else the machine does slows all of them.
    Writes EXP/latency.json and EXP/latency.md: median and 95th percentile in milliseconds.
    """
    bench = latency.LatencyBenchmark(utterances, warm_up, repeats, beam, cpu_time)
    names = [name.strip() for name in models.split(",")]
    page = bench.measure(
        Experiment(exp), find_sets(data, sets, channel), names, checkpoint, allow_pipes
    )
    print(page, end="")
