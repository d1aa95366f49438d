"""entcomp evaluate-units"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from entcomp.artifacts.experiment import Experiment
from entcomp.cli.options import Data, Exp, Seed, Sets, SkipBad
from entcomp.kaldi.datadir import find_sets
from entcomp.pipelines.evaluate_units import UnitEvaluation


def evaluate_units(
    data: Data,
    exp: Exp,
    segmentation: Annotated[
        str, typer.Option(metavar="TAGS", help="Segmentations, separated by commas, or all.")
    ] = "all",
    alignments: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="TextGrids, UTT.TextGrid.", show_default="EXP/align/SET"),
    ] = None,
    sets: Sets = None,
    skip_bad: SkipBad = False,
    seed: Seed = 0,
) -> None:
    """Score units against phones and speakers, and say what streams of their groups cost.

    PNMI, phone and cluster purity; information about the speaker; entropies and bit rates of raw,
    dedup and the segmentations. Writes EXP/unit_eval/SET/scores.json and table.md.
    """
    evaluation = UnitEvaluation(Experiment(exp), alignments, seed, skip_bad)
    for line in evaluation.score_sets(find_sets(data, sets), segmentation):
        print(line)
