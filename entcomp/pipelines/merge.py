"""Outputs that were written in shards, joined as if one run had written them."""

from __future__ import annotations

from collections.abc import Iterator

from entcomp.artifacts import shard
from entcomp.artifacts.experiment import Experiment, entropy_name
from entcomp.artifacts.units import Units
from entcomp.errors import EntcompError
from entcomp.files import read_json
from entcomp.kaldi.datadir import DataDir
from entcomp.segmentation.criteria import find_criterion
from entcomp.segmentation.matching import merge_thresholds
from entcomp.segmentation.source import Source
from entcomp.segmentation.stage import write_threshold


def merge_set(
    experiment: Experiment, data_set: DataDir, output: str, shards: int, tag: str | None = None
) -> str:
    """Join the ``shards`` of a set's output, archives apart; says how many utterances they hold.

    ``output`` is ``units``, ``entropy``, ``entropy_backward``, ``align`` or, of the segmentation
    ``tag``, ``groups``. Raises EntcompError for a tag without groups or vice versa, and for a shard
    that is not there, is unlike the others, or has not its utterances.
    """
    if (output == "groups") != (tag is not None):
        raise EntcompError("merge-shards groups needs --tag, and nothing else does")
    name = data_set.name
    if output == "align":
        folder, ids = experiment.alignments(name), data_set.ids()
        outputs = shard.merge_file_shards(folder, ".TextGrid", shards, ids, "unaligned")
        return f"{name}: {outputs['aligned']} alignments of {shards} shards merged"
    folder = {
        "units": experiment.units(name),
        "groups": experiment.segments(tag or "") / name,
    }.get(output, experiment.entropy(name))
    manifest = entropy_name("backward" if output == "entropy_backward" else "forward", "stage")
    upstream = _upstream_ids(output, data_set, experiment, tag)
    outputs = shard.merge_shards(folder, output, shards, upstream, manifest)
    if tag is not None:
        shard.merge_listing(folder, "remarks", shards)
        if experiment.segmentation(tag).rule.get("match_rate"):
            merge_thresholds(folder, shards)
        write_threshold(experiment.segments(tag), read_json(experiment.threshold(tag)))
    return f"{name}: {outputs['utterances']} utterances of {shards} shards merged"


def _upstream_ids(
    output: str, data_set: DataDir, experiment: Experiment, tag: str | None
) -> Iterator[str]:
    """Ids of the utterances that the stage had to go through."""
    if output == "units":
        return data_set.ids()
    if tag is not None:
        directions = find_criterion(experiment.segmentation(tag).criterion).directions
        return Source.of(experiment, data_set.name, directions).ids()
    return Units.open(experiment, data_set.name).ids()
