"""entcomp align-eval"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from entcomp.artifacts.experiment import Experiment
from entcomp.cli.options import Data, Exp, Seed, Sets, SkipBad
from entcomp.cli.references import AlignmentsDir, MaxDifference, SegmentationTags, Silences
from entcomp.kaldi.datadir import find_sets
from entcomp.pipelines.score_boundaries import BoundaryScoring

Tolerance = Annotated[float, typer.Option(min=0, max=10, metavar="SECONDS")]
Resolution = Annotated[
    float, typer.Option(min=0, max=10, metavar="SECONDS", help="Of the references; 0 if exact.")
]
Lenient = Annotated[
    bool, typer.Option("--lenient", help="Many-to-one matching instead of one-to-one.")
]
Shift = Annotated[
    float,
    typer.Option(
        min=-1,
        max=1,
        metavar="SECONDS",
        help="Added to each boundary; a second at most.",
    ),
]
Tiers = Annotated[str, typer.Option(metavar="NAMES", help="By commas.")]
Speaker = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Of a conversation.", show_default="all of them"),
]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="DIR", show_default="EXP/align_eval")
]


def align_eval(
    data: Data,
    exp: Exp,
    segmentation: SegmentationTags = "all",
    alignments: AlignmentsDir = None,
    sets: Sets = None,
    tolerance: Tolerance = 0.02,
    resolution: Resolution = 0.01,
    lenient: Lenient = False,
    shift: Shift = 0.0,
    tiers: Tiers = "words,phones",
    speaker: Speaker = None,
    silences: Silences = None,
    max_difference: MaxDifference = 0.1,
    skip_bad: SkipBad = False,
    output: Output = None,
    seed: Seed = 0,
) -> None:
    """Score the boundaries of groups against TextGrids, beside chance at the same rate.

    Once as papers do, and once with references as intervals as wide as their resolution. Writes
    OUTPUT/TAG/SET.json and, of all tags that have one, OUTPUT/SET.md.
    """
    names = tuple(name.strip() for name in tiers.split(","))
    scoring = BoundaryScoring(
        Experiment(exp),
        output or exp / "align_eval",
        alignments,
        names,
        tolerance,
        lenient,
        shift,
        seed,
        speaker,
        silences,
        max_difference,
        skip_bad,
        resolution,
    )
    for line in scoring.score_sets(find_sets(data, sets), segmentation):
        print(line)
