"""entcomp merge-shards"""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from entcomp.artifacts.experiment import Experiment
from entcomp.cli.options import Data, Exp, Sets
from entcomp.kaldi.datadir import find_sets
from entcomp.pipelines.merge import merge_set


def merge_shards(
    output: Annotated[
        Literal["units", "entropy", "entropy_backward", "groups", "align"],
        typer.Argument(help="What a stage with --shard writes for each set."),
    ],
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
        print(merge_set(Experiment(exp), data_set, output, shards, tag))
