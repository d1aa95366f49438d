"""Codebooks and units of data dirs, as `learn-kmeans` and `dump-units` make them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from entcomp.artifacts.experiment import Experiment, UnitsInfo
from entcomp.artifacts.shard import Shard
from entcomp.kaldi.datadir import DataDir
from entcomp.units.dump import Dumper, read_codebook
from entcomp.units.extractor import Extractor
from entcomp.units.extractors import load_extractor
from entcomp.units.learn import KmeansOptions, import_kmeans, learn_kmeans


def learn_codebook(
    experiment: Experiment,
    sets: list[DataDir],
    extractor: Extractor,
    learning: KmeansOptions,
    num_jobs: int,
    allow_pipes: bool,
) -> str:
    """Learn the codebook of EXP from frames of the sets; returns a line on what was done."""
    outputs = learn_kmeans(sets, experiment, extractor, learning, num_jobs, allow_pipes)
    if outputs is None:
        return f"{experiment.codebook}: complete, skipped"
    per_frame = outputs["inertia"] / outputs["frames"]
    return (
        f"{experiment.codebook}: {outputs['clusters_used']} of {learning.num_clusters} clusters "
        f"used, inertia {outputs['inertia']:.4g} ({per_frame:.4g} a frame) on {outputs['frames']} "
        f"of {outputs['frames_seen']} frames, {outputs['skipped']} utterances skipped"
    )


def import_codebook(
    experiment: Experiment, path: Path, extractor: Extractor, num_clusters: int | None = None
) -> str:
    """Take a published codebook as EXP's own, see `import_kmeans`; a line on what was done."""
    taken = import_kmeans(path, experiment, extractor, num_clusters)
    done = f"{taken['num_clusters']} clusters of {path}" if taken else "complete, skipped"
    return f"{experiment.codebook}: {done}"


def dump_sets(
    experiment: Experiment,
    sets: Sequence[DataDir],
    shard: Shard,
    num_jobs: int,
    checkpoint: Path | None = None,
    device: str = "auto",
    skip_bad: bool = False,
    allow_pipes: bool = False,
) -> Iterator[str]:
    """Write the units of every recording of the sets; yields what was done.

    Raises EntcompError without a codebook, and for another ``checkpoint`` than its.
    """
    info, codebook = read_codebook(experiment)
    extractor = load_extractor(info.extractor, str(info.layer), checkpoint, device)
    experiment.check_checkpoint(extractor.checkpoint_sha256)
    dumper = Dumper(experiment, info, codebook, extractor, num_jobs, skip_bad, allow_pipes)
    for data_set in sets:
        begin = time.monotonic()
        counts = dumper.dump(data_set, shard)
        took = time.monotonic() - begin
        yield f"{data_set.name}{shard.suffix}: {_describe(counts, info, took)}"


def _describe(counts: dict[str, Any] | None, info: UnitsInfo, took: float) -> str:
    if counts is None:
        return "complete, skipped"
    seconds = counts["samples"] / info.sample_rate
    rate = counts["runs"] / max(counts["frames"] * info.frame_shift, info.frame_shift)
    return (
        f"{counts['utterances']} utterances, {counts['frames']} units, {seconds / 3600:.2f} h, "
        f"{seconds / took:.0f} x real time, {rate:.1f} Hz without repeats, "
        f"{counts['skipped']} utterances skipped"
    )
