"""entcomp pack"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from entcomp.artifacts.experiment import Experiment
from entcomp.cli.options import Exp
from entcomp.pipelines import pack as pipeline


def pack(
    exp: Exp,
    output: Annotated[
        Path,
        typer.Argument(metavar="OUT", help="OUT.tar, or a folder as those in entcomp/pretrained."),
    ],
    model: Annotated[
        list[str],
        typer.Option(
            metavar="TASK/TAG", help="A model to take along, as in asr/raw; may be repeated."
        ),
    ] = [],  # noqa: B006 - Typer's
    segmentation: Annotated[
        list[str], typer.Option(metavar="TAG", help="Thresholds likewise; those of models are.")
    ] = [],  # noqa: B006
    notes: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Data, licence, commands: opens the model card."),
    ] = None,
) -> None:
    """Pack a trained pipeline into one file that runs on another machine, by --model OUT.tar.

    Codebook, LMs, calibration, thresholds, models, configs, hashes, and a model card of what the
    stages have measured. The same EXP gives the same bytes.
    """
    sizes = pipeline.pack(Experiment(exp), output, model, segmentation, notes)
    for name, size in sizes.items():
        print(f"{size:12,} {name}")
    print(f"{sum(sizes.values()):12,} bytes to {output}")
