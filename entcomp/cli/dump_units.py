"""entcomp dump-units"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from entcomp.cli.options import (
    AllowPipes,
    Checkpoint,
    Data,
    Device,
    Exp,
    NumJobs,
    Sets,
    ShardOption,
    SkipBad,
)

if TYPE_CHECKING:
    from entcomp.artifacts.experiment import UnitsInfo


def dump_units(
    data: Data,
    exp: Exp,
    sets: Sets = None,
    checkpoint: Checkpoint = None,
    shard: ShardOption = "1/1",
    skip_bad: SkipBad = False,
    allow_pipes: AllowPipes = False,
    device: Device = "auto",
    num_jobs: NumJobs = os.cpu_count() or 1,
) -> None:
    """Write the units of every recording: EXP/units/<set>/units.{ark,scp}."""
    import time

    from entcomp.artifacts.experiment import Experiment
    from entcomp.artifacts.shard import Shard
    from entcomp.kaldi.datadir import find_sets
    from entcomp.units.dump import Dumper, check_checkpoint, read_codebook
    from entcomp.units.extractors import load_extractor

    experiment = Experiment(exp)
    part = Shard.parse(shard)
    chosen = find_sets(data, sets)
    info, codebook = read_codebook(experiment)
    extractor = load_extractor(info.extractor, str(info.layer), checkpoint, device)
    check_checkpoint(experiment, extractor)
    dumper = Dumper(experiment, info, codebook, extractor, num_jobs, skip_bad, allow_pipes)
    for data_set in chosen:
        begin = time.monotonic()
        counts = dumper.dump(data_set, part)
        took = time.monotonic() - begin
        print(f"{data_set.name}{part.suffix}: {_describe(counts, info, took)}")


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
