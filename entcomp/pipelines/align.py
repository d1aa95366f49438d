"""Alignments of an experiment's sets, by the aligner that this machine has."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from entcomp.artifacts.experiment import Experiment
from entcomp.artifacts.shard import Shard
from entcomp.evaluation.alignment import mfa, pocketsphinx_aligner
from entcomp.evaluation.alignment.align_set import Align, align_set
from entcomp.kaldi.datadir import DataDir


def choose_aligner(
    name: str, num_jobs: int, dictionary: str, acoustic: str
) -> tuple[Align, dict[str, Any]]:
    """``mfa``, ``pocketsphinx`` or ``auto``, and what its alignments depend on."""
    if name == "auto":
        name = "mfa" if shutil.which("mfa") else "pocketsphinx"
    if name == "mfa":
        run = partial(mfa.align, num_jobs=num_jobs, dictionary=dictionary, acoustic=acoustic)
        return run, {"name": "mfa", "dictionary": dictionary, "acoustic": acoustic}
    settings = {"name": "pocketsphinx", "version": version("pocketsphinx")}
    return partial(pocketsphinx_aligner.align, num_jobs=num_jobs), settings


def align_sets(
    experiment: Experiment,
    sets: Sequence[DataDir],
    aligner: tuple[Align, dict[str, Any]],
    shard: Shard,
    skip_bad: bool,
    allow_pipes: bool,
    nlsyms: list[str] | None = None,
) -> Iterator[str]:
    """Write EXP/align/<set>/<utt>.TextGrid of each set; yields what was done.

    ``nlsyms`` are marks in texts that are no words; None is any in brackets or between plus signs.
    """
    for data_set in sets:
        folder = experiment.alignments(data_set.name)
        counts = align_set(data_set, folder, *aligner, shard, skip_bad, allow_pipes, nlsyms)
        yield f"{data_set.name}{shard.suffix}: {_describe(counts, folder, shard)}"


def _describe(counts: dict[str, int] | None, folder: Path, shard: Shard) -> str:
    if counts is None:
        return "complete, skipped"
    line = f"{counts['aligned']} utterances aligned"
    if counts["unaligned"]:
        line += f", {counts['unaligned']} not: see {folder}/unaligned{shard.suffix}.txt"
    return line
