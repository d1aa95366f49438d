"""entcomp report"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from entcomp.artifacts.experiment import Experiment
from entcomp.cli.options import AllowPipes, Data, Exp
from entcomp.report.conversion import read_samples
from entcomp.report.example import choose_set, choose_tag, find_example
from entcomp.report.sections import Report, write_report


def report(
    data: Data,
    exp: Exp,
    set_name: Annotated[
        str | None,
        typer.Option("--set", metavar="NAME", show_default="the first that was aligned"),
    ] = None,
    utterance: Annotated[
        str | None, typer.Option(metavar="ID", help="To show.", show_default="a short one")
    ] = None,
    segmentation: Annotated[
        str | None, typer.Option(metavar="TAG", help="To show.", show_default="the nearest 15 Hz")
    ] = None,
    alignments: Annotated[
        Path | None, typer.Option(metavar="DIR", show_default="EXP/align/SET")
    ] = None,
    scores: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Of align-eval.", show_default="EXP/align_eval"),
    ] = None,
    output: Annotated[Path | None, typer.Option(metavar="DIR", show_default="EXP/report")] = None,
    allow_pipes: AllowPipes = False,
) -> None:
    """Tables and figures as one page, EXP/report/index.html; PNGs and samples beside it."""
    experiment = Experiment(exp)
    scores = scores or exp / "align_eval"
    data_set = choose_set(data, experiment, set_name, scores)
    folder = alignments or experiment.alignments(data_set.name)
    tag = segmentation or choose_tag(experiment, data_set.name)
    example = tag and find_example(experiment, data_set, tag, folder, utterance, allow_pipes)
    samples = read_samples(experiment, data_set, allow_pipes)
    page = Report(
        experiment, data_set.name, scores, output or exp / "report", example or None, samples
    )
    print(write_report(page))
