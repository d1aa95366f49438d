"""entcomp merge-shards"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import TYPE_CHECKING, Annotated

import typer

from entcomp.cli.options import Data, Exp, Sets

if TYPE_CHECKING:
    from entcomp.artifacts.experiment import Experiment
    from entcomp.kaldi.datadir import DataDir


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
    from entcomp.artifacts import shard
    from entcomp.artifacts.experiment import Experiment
    from entcomp.errors import EntcompError
    from entcomp.kaldi.datadir import find_sets

    experiment = Experiment(exp)
    if (output is Output.groups) != (tag is not None):
        raise EntcompError("merge-shards groups needs --tag, and nothing else does")
    mark = "stage_backward" if output is Output.entropy_backward else "stage"
    for data_set in find_sets(data, sets):
        if output is Output.align:
            folder, ids = experiment.alignments(data_set.name), data_set.ids()
            outputs = shard.merge_file_shards(folder, ".TextGrid", shards, ids, "unaligned")
            print(f"{data_set.name}: {outputs['aligned']} alignments of {shards} shards merged")
            continue
        folder = {
            Output.units: experiment.units(data_set.name),
            Output.groups: experiment.segments(tag or "") / data_set.name,
        }.get(output, experiment.entropy(data_set.name))
        upstream = _upstream_ids(output, data_set, experiment, tag)
        outputs = shard.merge_shards(folder, output.value, shards, upstream, mark)
        print(f"{data_set.name}: {outputs['utterances']} utterances of {shards} shards merged")


def _upstream_ids(
    output: Output, data_set: DataDir, experiment: Experiment, tag: str | None
) -> Iterator[str]:
    """Ids of the utterances that the stage had to go through."""
    from entcomp.files import read_json
    from entcomp.kaldi.table import iter_table
    from entcomp.segmentation.source import Source

    if output is Output.units:
        return data_set.ids()
    scp = experiment.units(data_set.name) / "units.scp"
    if tag is not None:
        criterion = read_json(experiment.segments(tag) / "threshold.json")["criterion"]
        scp = Source.of(experiment, data_set.name, criterion).scps[0]
    return (utt_id for utt_id, _ in iter_table(scp))
