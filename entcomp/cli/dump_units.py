"""entcomp dump-units"""

from __future__ import annotations

import os

from entcomp.artifacts.experiment import Experiment
from entcomp.artifacts.shard import Shard
from entcomp.cli import options
from entcomp.kaldi.datadir import find_sets
from entcomp.pipelines.units import dump_sets


def dump_units(
    data: options.Data,
    exp: options.Exp,
    sets: options.Sets = None,
    checkpoint: options.Checkpoint = None,
    shard: options.ShardOption = "1/1",
    skip_bad: options.SkipBad = False,
    allow_pipes: options.AllowPipes = False,
    channel: options.Channel = None,
    device: options.Device = "auto",
    num_jobs: options.NumJobs = os.cpu_count() or 1,
) -> None:
    """Write the units of every recording: EXP/units/<set>/units.{ark,scp}."""
    part, chosen = Shard.parse(shard), find_sets(data, sets, channel)
    for line in dump_sets(
        Experiment(exp), chosen, part, num_jobs, checkpoint, device, skip_bad, allow_pipes
    ):
        print(line, flush=True)
