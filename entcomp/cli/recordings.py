"""The options of commands that take recordings of any kind."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Files = Annotated[
    list[Path],
    typer.Argument(
        metavar="FILE...", help="Recordings of any format and rate; - is the standard input."
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|EXP|TAR|USER/NAME",
        help="By default the one that comes with entcomp; USER/NAME[@REVISION] is on the Hugging "
        "Face hub. See also pack and push.",
    ),
]
Output = Annotated[Path | None, typer.Option("--output", "-o", metavar="OUT")]
