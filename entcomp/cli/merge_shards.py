"""entcomp merge-shards"""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer

from entcomp.artifacts.experiment import Experiment
from entcomp.cli.options import Data, Exp, Sets
from entcomp.kaldi.datadir import find_sets
from entcomp.pipelines.merge import merge_set


class Output(str, Enum):
    """What a stage with --shard writes for each set."""

    units = "units"
    entropy = "entropy"
    entropy_backward = "entropy_backward"
    groups = "groups"
    align = "align"


def merge_shards(
    output: Annotated[Output, typer.Argument(metavar="OUTPUT", help="|".join(Output.__members__))],
    data: Data,
    exp: Exp,
    shards: Annotated[int, typer.Option(min=2, metavar="N", help="How many there are.")],
    tag: Annotated[
        str | None,
        typer.Option(help="Folder in EXP/segments, for groups."),
    ] = None,
    sets: Sets = None,
) -> None:
    """Join what N runs with --shard I/N wrote, as if one had, without touching archives."""
    for data_set in find_sets(data, sets):
        print(merge_set(Experiment(exp), data_set, output.value, shards, tag))
