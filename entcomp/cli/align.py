"""entcomp align"""

from __future__ import annotations

import os
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from entcomp.cli.options import (
    AllowPipes,
    Data,
    Exp,
    NlsymsTxt,
    NumJobs,
    Sets,
    ShardOption,
    SkipBad,
)

if TYPE_CHECKING:
    from entcomp.evaluation.alignment.align_set import Align


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
    nlsyms_txt: NlsymsTxt = None,
    sets: Sets = None,
    shard: ShardOption = "1/1",
    skip_bad: SkipBad = False,
    allow_pipes: AllowPipes = False,
    num_jobs: NumJobs = os.cpu_count() or 1,
) -> None:
    """Find the times of words and phones: EXP/align/<set>/<utt>.TextGrid.

    What cannot be aligned is counted and listed in unaligned.txt beside them.
    """
    from entcomp.artifacts.experiment import Experiment
    from entcomp.artifacts.shard import Shard
    from entcomp.evaluation.alignment.align_set import align_set
    from entcomp.formats.nlsyms import read_nlsyms
    from entcomp.kaldi.datadir import find_sets

    part = Shard.parse(shard)
    nlsyms = read_nlsyms(nlsyms_txt) if nlsyms_txt else None
    run, settings = _choose(aligner, num_jobs, mfa_dictionary, mfa_acoustic)
    for data_set in find_sets(data, sets):
        folder = Experiment(exp).alignments(data_set.name)
        counts = align_set(data_set, folder, run, settings, part, skip_bad, allow_pipes, nlsyms)
        print(f"{data_set.name}{part.suffix}: {_describe(counts, str(folder), part)}")


def _choose(
    aligner: Aligner, num_jobs: int, dictionary: str, acoustic: str
) -> tuple[Align, dict[str, Any]]:
    """The aligner, and what its alignments depend on."""
    import shutil
    from functools import partial
    from importlib.metadata import version

    from entcomp.evaluation.alignment import mfa, pocketsphinx_aligner

    if aligner is Aligner.auto:
        aligner = Aligner.mfa if shutil.which("mfa") else Aligner.pocketsphinx
    if aligner is Aligner.mfa:
        run = partial(mfa.align, num_jobs=num_jobs, dictionary=dictionary, acoustic=acoustic)
        return run, {"name": "mfa", "dictionary": dictionary, "acoustic": acoustic}
    settings = {"name": "pocketsphinx", "version": version("pocketsphinx")}
    return partial(pocketsphinx_aligner.align, num_jobs=num_jobs), settings


def _describe(counts: dict[str, int] | None, folder: str, part: Any) -> str:
    if counts is None:
        return "complete, skipped"
    line = f"{counts['aligned']} utterances aligned"
    if counts["unaligned"]:
        line += f", {counts['unaligned']} not: see {folder}/unaligned{part.suffix}.txt"
    return line
