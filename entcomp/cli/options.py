"""Arguments and options that many subcommands share."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[
    Path, typer.Argument(metavar="DATA", help="A Kaldi data dir, or a folder of them.")
]
Exp = Annotated[Path, typer.Argument(metavar="EXP", help="The experiment folder.")]
Sets = Annotated[
    str | None,
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
NumJobs = Annotated[
    int, typer.Option("--nj", min=1, show_default="all cores", help="Utterances at a time.")
]
Checkpoint = Annotated[
    Path | None,
    typer.Option("--checkpoint", metavar="FILE", help="The extractor's weights, on disk."),
]
Device = Annotated[
    str, typer.Option("--device", metavar="auto|cpu|cuda", help="Where the extractor runs.")
]


class UnitFormat(str, Enum):
    """How other toolkits write units."""

    km = "km"
    text = "text"
    jsonl = "jsonl"


Format = Annotated[
    UnitFormat,
    typer.Option("--format", help="fairseq's .km, ESPnet's 'utt_id 1 2 3', S3Tokenizer's jsonl."),
]
