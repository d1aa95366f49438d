"""entcomp align"""

from __future__ import annotations

import os
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from entcomp.artifacts.experiment import Experiment
from entcomp.artifacts.shard import Shard
from entcomp.cli.options import AllowPipes, Data, Exp, NumJobs, Sets, ShardOption, SkipBad
from entcomp.evaluation.alignment.align_set import align_set, choose_aligner
from entcomp.kaldi.datadir import find_sets


class Aligner(str, Enum):
    """Who aligns; auto is mfa where it is installed, else pocketsphinx."""

    auto = "auto"
    mfa = "mfa"
    pocketsphinx = "pocketsphinx"


def align(
    data: Data,
    exp: Exp,
    aligner: Annotated[
        Aligner, typer.Option(help="auto is mfa where it is installed, else pocketsphinx.")
    ] = Aligner.auto,
    mfa_dictionary: Annotated[str, typer.Option(metavar="NAME")] = "english_us_arpa",
    mfa_acoustic: Annotated[str, typer.Option(metavar="NAME")] = "english_us_arpa",
    sets: Sets = None,
    shard: ShardOption = "1/1",
    skip_bad: SkipBad = False,
    allow_pipes: AllowPipes = False,
    num_jobs: NumJobs = os.cpu_count() or 1,
) -> None:
    """Find the times of words and phones: EXP/align/<set>/<utt>.TextGrid.

    What cannot be aligned is counted and listed in unaligned.txt beside them.
    """
    part = Shard.parse(shard)
    run, settings = choose_aligner(aligner.value, num_jobs, mfa_dictionary, mfa_acoustic)
    for data_set in find_sets(data, sets):
        folder = Experiment(exp).alignments(data_set.name)
        counts = align_set(data_set, folder, run, settings, part, skip_bad, allow_pipes)
        print(f"{data_set.name}{part.suffix}: {_describe(counts, folder, part)}")


def _describe(counts: dict[str, int] | None, folder: Path, part: Shard) -> str:
    if counts is None:
        return "complete, skipped"
    line = f"{counts['aligned']} utterances aligned"
    if counts["unaligned"]:
        line += f", {counts['unaligned']} not: see {folder}/unaligned{part.suffix}.txt"
    return line
