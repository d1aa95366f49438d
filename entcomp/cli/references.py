"""Options of the commands that compare units and groups with TextGrids."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

SegmentationTags = Annotated[
    str,
    typer.Option("--segmentation", metavar="TAGS", help="Segmentations, by commas, or all."),
]
AlignmentsDir = Annotated[
    Path | None,
    typer.Option(
        "--alignments", metavar="DIR", help="TextGrids, UTT.TextGrid.", show_default="EXP/align/SET"
    ),
]
Silences = Annotated[
    str | None,
    typer.Option(
        "--silences", metavar="LABELS", help="By commas.", show_default="those of aligners"
    ),
]
MaxDifference = Annotated[
    float,
    typer.Option(
        "--max-difference",
        min=0,
        metavar="SECONDS",
        help="Largest difference in length of intervals and units.",
    ),
]
