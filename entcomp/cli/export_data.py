"""entcomp export-data"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from entcomp.cli.options import AllowPipes, Channel, Data, DataFormat, Sets
from entcomp.kaldi.datadir import find_sets
from entcomp.pipelines import data as pipeline


def export_data(
    data: Data,
    output: Annotated[Path, typer.Argument(metavar="FOLDER", help="Gets files of each set.")],
    kind: DataFormat,
    sample_rate: Annotated[
        int, typer.Option(min=1, metavar="HZ", help="Of segments in an audiofolder.")
    ] = 16000,
    sets: Sets = None,
    allow_pipes: AllowPipes = False,
    channel: Channel = None,
) -> None:
    """Write data dirs as lhotse's manifests, or as Hugging Face audiofolders."""
    for data_set in find_sets(data, sets, channel):
        said = pipeline.export_data(data_set, kind, output, sample_rate, allow_pipes)
        print(f"{data_set.name}: {said}")
