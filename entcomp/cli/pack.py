"""entcomp pack"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from entcomp.artifacts.experiment import Experiment
from entcomp.cli.options import Exp, Notes, PackedModels, PackedSegmentations
from entcomp.pipelines import pack as pipeline


def pack(
    exp: Exp,
    output: Annotated[
        Path,
        typer.Argument(metavar="OUT", help="OUT.tar, or a folder as those in entcomp/pretrained."),
    ],
    model: PackedModels = [],  # noqa: B006 - Typer's
    segmentation: PackedSegmentations = [],  # noqa: B006
    default: Annotated[
        str | None,
        typer.Option(metavar="TAG", help="Groups that tokenize makes if no others are asked for."),
    ] = None,
    notes: Notes = None,
) -> None:
    """Pack a trained pipeline into one file that runs on another machine, by --model OUT.tar.

    Codebook, LMs, calibration, thresholds, models, configs, hashes, and a model card of what the
    stages have measured. The same EXP gives the same bytes.
    """
    sizes = pipeline.pack(Experiment(exp), output, model, segmentation, notes, default)
    for name, size in sizes.items():
        print(f"{size:12,} {name}")
    print(f"{sum(sizes.values()):12,} bytes to {output}")
