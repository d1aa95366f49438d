"""entcomp import-segmentation"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from entcomp.artifacts.experiment import Experiment
from entcomp.cli.options import Data, Exp, Sets, SkipBad
from entcomp.cli.references import MaxDifference, Silences
from entcomp.kaldi.datadir import find_sets
from entcomp.segmentation.criteria import imported


def import_segmentation(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...", help="UTT.TextGrid, CTM, or folders or tar files of them."
        ),
    ],
    data: Data,
    exp: Exp,
    tag: Annotated[str, typer.Option(metavar="TAG", help="Folder in EXP/segments.")],
    tier: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Of TextGrids; of a CTM: phones, if it has those.",
            show_default="the only one",
        ),
    ] = None,
    gaps: Annotated[
        Literal["own", "before", "after"],
        typer.Option(help="Time without an interval: a group, or of the one before or after."),
    ] = "own",
    silences: Silences = None,
    max_difference: MaxDifference = 0.1,
    sets: Sets = None,
    skip_bad: SkipBad = False,
) -> None:
    """Take another tokenizer's or an aligner's intervals as groups of units.

    Reads EXP/units, writes EXP/segments/TAG. Times are rounded to the nearest frame.
    """
    names = [one.name for one in find_sets(data, sets)]
    for line in imported.import_segmentation(
        Experiment(exp), names, files, tag, tier, gaps, silences, max_difference, skip_bad
    ):
        print(line)
