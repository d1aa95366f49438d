"""entcomp export-units"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from entcomp.artifacts.experiment import Experiment
from entcomp.cli.options import Data, Exp, Format, Sets
from entcomp.kaldi.datadir import find_sets
from entcomp.units import exchange


def export_units(
    data: Data,
    exp: Exp,
    output: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="The folder to write to, a file for each set.")
    ],
    unit_format: Format,
    sets: Sets = None,
) -> None:
    """Write units as other toolkits read them."""
    for data_set in find_sets(data, sets):
        path = exchange.export_units(data_set, Experiment(exp), unit_format, output)
        print(f"{data_set.name}: {path}")
