"""Arguments and options that many subcommands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

Data = Annotated[
    Path, typer.Argument(metavar="DATA", help="A Kaldi data dir, or a folder of them.")
]
Exp = Annotated[Path, typer.Argument(metavar="EXP", help="The experiment folder.")]
Sets = Annotated[
    Optional[str],  # noqa: UP045 - Typer reads the annotation at run time, on Python 3.10 too
    typer.Option("--sets", metavar="NAMES", help="Only these sets: names or globs, by commas."),
]
SkipBad = Annotated[
    bool, typer.Option("--skip-bad", help="Go on without bad utterances, and list them.")
]
AllowPipes = Annotated[
    bool, typer.Option("--allow-pipes", help="Run commands (ending in |) in wav.scp.")
]
ShardOption = Annotated[
    str, typer.Option("--shard", metavar="I/N", help="Only part I of N of each set.")
]
Seed = Annotated[int, typer.Option("--seed", help="Seed of all random choices.")]
