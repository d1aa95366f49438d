"""entcomp push"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from entcomp.cli.options import Notes, PackedModels, PackedSegmentations
from entcomp.pipelines import push as pipeline


def push(
    source: Annotated[
        Path, typer.Argument(metavar="EXP|TAR", help="An experiment, or what pack made of one.")
    ],
    name: Annotated[str, typer.Argument(metavar="USER/NAME", help="On the Hugging Face hub.")],
    model: PackedModels = [],  # noqa: B006 - Typer's
    segmentation: PackedSegmentations = [],  # noqa: B006
    notes: Notes = None,
    license_id: Annotated[
        str | None,
        typer.Option("--license", metavar="ID", help="As the hub spells it: apache-2.0, mit ..."),
    ] = None,
    private: Annotated[
        bool, typer.Option("--private", help="For nobody else, if it is new.")
    ] = False,
) -> None:
    """Put a trained pipeline on the Hugging Face hub, for --model USER/NAME anywhere.

    An experiment is packed first. Log in before, by `hf auth login`, or set HF_TOKEN.
    """
    print(pipeline.push(source, name, model, segmentation, notes, license_id, private))
