"""entcomp report"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from entcomp.artifacts.experiment import Experiment
from entcomp.cli.options import AllowPipes, Data, Exp
from entcomp.report.conversion import read_samples
from entcomp.report.example import choose_set, choose_tag, find_example
from entcomp.report.paper.models import Chosen
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
    paper: Annotated[
        bool, typer.Option("--paper", help="Add the paper's tables 1 to 13, also as paper.md.")
    ] = False,
    models: Annotated[
        str, typer.Option(metavar="NAMES", help="Of --paper: names or patterns, as in asr/*_seed?")
    ] = "*",
    exp_k2000: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Of --paper: with 2,000 units, for table 10.")
    ] = None,
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
    beside_paper, with_2000 = None, None
    if paper:
        count = models.split(",")
        beside_paper = Chosen(experiment, data_set.name, scores, count)
        if exp_k2000:
            with_2000 = replace(beside_paper, experiment=Experiment(exp_k2000))
    folder = output or exp / "report"
    page = Report(
        experiment,
        data_set.name,
        scores,
        folder,
        example or None,
        samples,
        beside_paper,
        with_2000,
    )
    print(write_report(page))
    if paper:
        print(folder / "paper.md")
