"""entcomp report"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from entcomp.artifacts.experiment import Experiment
from entcomp.cli.options import AllowPipes, Channel, Data, Exp
from entcomp.cli.references import AlignmentsDir
from entcomp.errors import EntcompError
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
    alignments: AlignmentsDir = None,
    scores: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Of align-eval.", show_default="EXP/align_eval"),
    ] = None,
    output: Annotated[Path | None, typer.Option(metavar="DIR", show_default="EXP/report")] = None,
    paper: Annotated[
        bool, typer.Option("--paper", help="Add the paper's tables 1 to 13, also as paper.md.")
    ] = False,
    models: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="Of --paper: names or patterns, as in asr/*_seed?",
            show_default="all of them",
        ),
    ] = None,
    exp_k2000: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Of --paper: with 2,000 units, for table 10.")
    ] = None,
    allow_pipes: AllowPipes = False,
    channel: Channel = None,
) -> None:
    """Tables and figures as one page, EXP/report/index.html; PNGs and samples beside it."""
    if not exp.is_dir():
        raise EntcompError(f"{exp}: no such experiment folder")
    for option, given in (("models", models), ("exp-k2000", exp_k2000)):
        if given is not None and not paper:
            raise EntcompError(f"--{option}: is of --paper; give that, too")
    experiment = Experiment(exp)
    scores = scores or exp / "align_eval"
    data_set = choose_set(data, experiment, set_name, scores, channel)
    folder = alignments or experiment.alignments(data_set.name)
    tag = segmentation or choose_tag(experiment, data_set.name)
    example = tag and find_example(experiment, data_set, tag, folder, utterance, allow_pipes)
    samples = read_samples(experiment, data_set, allow_pipes)
    patterns = [one.strip() for one in (models or "*").split(",")]
    chosen = Chosen(experiment, data_set.name, scores, patterns) if paper else None
    with_2000 = chosen and exp_k2000 and replace(chosen, experiment=Experiment(exp_k2000))
    output = output or exp / "report"
    page = Report(
        *(experiment, data_set.name, scores, output),
        *(example or None, samples, chosen, with_2000 or None),
    )
    print(write_report(page))
    if paper:
        print(output / "paper.md")
