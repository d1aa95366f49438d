"""entcomp align"""

from __future__ import annotations

import os
from typing import Annotated, Literal

import typer

from entcomp.artifacts.experiment import Experiment
from entcomp.artifacts.shard import Shard
from entcomp.cli.options import (
    AllowPipes,
    Channel,
    Data,
    Exp,
    NlsymsTxt,
    NumJobs,
    Sets,
    ShardOption,
    SkipBad,
)
from entcomp.formats.nlsyms import read_nlsyms
from entcomp.kaldi.datadir import find_sets
from entcomp.pipelines.align import align_sets, choose_aligner


def align(
    data: Data,
    exp: Exp,
    aligner: Annotated[
        Literal["auto", "mfa", "pocketsphinx"],
        typer.Option(help="auto is mfa where it is installed, else pocketsphinx."),
    ] = "auto",
    mfa_dictionary: Annotated[str, typer.Option(metavar="NAME")] = "english_us_arpa",
    mfa_acoustic: Annotated[str, typer.Option(metavar="NAME")] = "english_us_arpa",
    nlsyms_txt: NlsymsTxt = None,
    sets: Sets = None,
    shard: ShardOption = "1/1",
    skip_bad: SkipBad = False,
    allow_pipes: AllowPipes = False,
    channel: Channel = None,
    num_jobs: NumJobs = os.cpu_count() or 1,
) -> None:
    """Find the times of words and phones: EXP/align/<set>/<utt>.TextGrid.

    What cannot be aligned is counted and listed in unaligned.txt beside them.
    """
    part, chosen = Shard.parse(shard), find_sets(data, sets, channel)
    settings = choose_aligner(aligner, num_jobs, mfa_dictionary, mfa_acoustic)
    nlsyms = read_nlsyms(nlsyms_txt) if nlsyms_txt else None
    done = align_sets(Experiment(exp), chosen, settings, part, skip_bad, allow_pipes, nlsyms)
    for line in done:
        print(line, flush=True)
