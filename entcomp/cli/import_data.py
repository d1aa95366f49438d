"""entcomp import-data"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from entcomp.cli.options import DataFormat, SkipBad
from entcomp.pipelines import data as pipeline


def import_data(
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="SOURCE...",
            help="lhotse's cuts, or its recordings and supervisions; or one audiofolder.",
        ),
    ],
    data: Annotated[Path, typer.Argument(metavar="DATA", help="The data dir to write.")],
    kind: DataFormat,
    text_column: Annotated[
        str | None,
        typer.Option(metavar="NAME", show_default="transcription, text ...", help="audiofolder's."),
    ] = None,
    skip_bad: SkipBad = False,
) -> None:
    """Make a Kaldi data dir of lhotse's manifests, or of a Hugging Face audiofolder."""
    counts = pipeline.import_data(sources, kind, data, text_column, skip_bad)
    if counts is None:
        print(f"{data}: complete, skipped")
    else:
        print(f"{data}: {counts['utterances']} utterances, {counts['skipped']} skipped")
