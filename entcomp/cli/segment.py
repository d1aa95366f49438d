"""`entcomp segment`: entropies or units to groups."""

from __future__ import annotations

from typing import Annotated

import typer

from entcomp.artifacts.experiment import Experiment
from entcomp.artifacts.shard import Shard
from entcomp.cli.grouping import Grouping
from entcomp.cli.options import Data, Exp, Sets, ShardOption, SkipBad
from entcomp.cli.spread import spread
from entcomp.kaldi.datadir import find_sets
from entcomp.segmentation.stage import segment_sets


@spread
def segment(
    data: Data,
    exp: Exp,
    grouping: Grouping,
    tag: Annotated[
        str | None, typer.Option(help="Folder in EXP/segments; names itself by default.")
    ] = None,
    frame_shift: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="Where there is no EXP/units/units.json."),
    ] = None,
    sets: Sets = None,
    shard: ShardOption = "1/1",
    skip_bad: SkipBad = False,
) -> None:
    """Group units by where the LM is unsure, at a stated rate or threshold.

    Reads EXP/entropy (the baselines: EXP/units), writes EXP/segments/TAG.
    """
    request = grouping.request()
    found = {one.name: one.path for one in find_sets(data, sets)}
    part, names = Shard.parse(shard), list(found)
    for line in segment_sets(
        Experiment(exp), names, request, tag, frame_shift, part, skip_bad, data=found
    ):
        print(line)
