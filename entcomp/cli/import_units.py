"""entcomp import-units"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from entcomp.artifacts.experiment import Experiment
from entcomp.cli.options import Data, Exp, Format, SkipBad
from entcomp.formats.layers import Layers
from entcomp.kaldi.datadir import set_name
from entcomp.units import exchange
from entcomp.units.extractor import HUBERT_GRID

OFFSET_HELP = f"Where unit 0 begins; {HUBERT_GRID.offset / 16000:g} for HuBERT at 16 kHz."


def import_units(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="One set's units.")],
    data: Data,
    exp: Exp,
    unit_format: Format,
    num_clusters: Annotated[int, typer.Option(min=1, metavar="K", help="Units are 0..K-1.")],
    frame_shift: Annotated[float, typer.Option(metavar="SECONDS", help="Between units.")],
    receptive_offset: Annotated[float, typer.Option(metavar="SECONDS", help=OFFSET_HELP)] = 0.0,
    sample_rate: Annotated[int, typer.Option(min=1, metavar="HZ", help="Of the audio.")] = 16000,
    tsv: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="The manifest of each .km, in the order of FILE..."),
    ] = None,
    codebook_name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Keeps units of different codebooks apart."),
    ] = None,
    layers: Annotated[
        str | None,
        typer.Option(
            metavar="N[,N...]",
            help="Of tokens of several codebooks, as in 17-305 or lists of layers: which one to "
            "take, from 0 on; several make one unit, if K^N is at most 65536 (K is each one's).",
        ),
    ] = None,
    skip_bad: SkipBad = False,
) -> None:
    """Take units from elsewhere into an experiment, as the set that DATA names."""
    chosen = None if layers is None else Layers.parse(layers, num_clusters)
    info = exchange.imported_info(
        num_clusters, frame_shift, receptive_offset, sample_rate, codebook_name, chosen
    )
    counts = exchange.import_units(
        files, tsv or [], unit_format, data, Experiment(exp), info, skip_bad, chosen
    )
    name = set_name(data)
    if counts is None:
        print(f"{name}: complete, skipped")
    else:
        print(
            f"{name}: {counts['utterances']} utterances, {counts['frames']} units, "
            f"{counts['skipped']} utterances skipped"
        )
