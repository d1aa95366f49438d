"""entcomp evaluate-units"""

from __future__ import annotations

from typing import Annotated

import typer

from entcomp.artifacts.experiment import Experiment
from entcomp.cli.options import Data, Exp, Seed, Sets, SkipBad
from entcomp.cli.references import AlignmentsDir, SegmentationTags
from entcomp.kaldi.datadir import find_sets
from entcomp.pipelines.evaluate_units import UnitEvaluation


def evaluate_units(
    data: Data,
    exp: Exp,
    segmentation: SegmentationTags = "all",
    alignments: AlignmentsDir = None,
    abx: Annotated[
        bool, typer.Option("--abx", help="ABX of each stream: a minute for half an hour of speech.")
    ] = False,
    sets: Sets = None,
    skip_bad: SkipBad = False,
    seed: Seed = 0,
) -> None:
    """Score units against phones and speakers, and say what streams of their groups cost.

    PNMI, phone and cluster purity; information about the speaker; entropies and bit rates of raw,
    dedup and the segmentations, and with --abx how well they tell phones apart. Writes
    EXP/unit_eval/SET/scores.json and table.md.
    """
    evaluation = UnitEvaluation(Experiment(exp), alignments, seed, skip_bad, abx)
    for line in evaluation.score_sets(find_sets(data, sets), segmentation):
        print(line)
