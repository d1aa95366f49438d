"""Arguments and options that many subcommands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

Data = Annotated[
    Path, typer.Argument(metavar="DATA", help="A Kaldi data dir, or a folder of them.")
]
Exp = Annotated[Path, typer.Argument(metavar="EXP", help="The experiment folder.")]
Sets = Annotated[
    str | None,
    typer.Option(
        "--sets", metavar="NAMES", help="Only these sets: names or patterns, separated by commas."
    ),
]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Skip bad utterances, and list them.")]
AllowPipes = Annotated[
    bool, typer.Option("--allow-pipes", help="Run commands (ending in |) in wav.scp.")
]
NlsymsTxt = Annotated[
    Path | None,
    typer.Option(
        "--nlsyms-txt",
        "--nlsyms_txt",
        metavar="FILE|none",
        help="Non-linguistic symbols, one a line: they are no words.",
        show_default="<...>, [...], {...}, +...+",
    ),
]


def parse_channel(text: str) -> int:
    """``left``, ``right`` or a number from 1 to a channel from 0."""
    number = {"left": "1", "right": "2"}.get(text, text)
    if not number.isdecimal() or int(number) < 1:
        raise typer.BadParameter(f"{text!r} is not left, right or a number from 1")
    return int(number) - 1


Channel = Annotated[
    int | None,
    typer.Option(
        "--channel",
        metavar="left|right|N",
        parser=parse_channel,
        help="One channel of each recording.",
        show_default="the mean of all",
    ),
]
ShardOption = Annotated[
    str, typer.Option("--shard", metavar="I/N", help="Only part I of N of each set.")
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of all random choices.")]
NumJobs = Annotated[
    int,
    typer.Option("--nj", min=1, show_default="all cores", help="Utterances processed in parallel."),
]
Checkpoint = Annotated[
    Path | None,
    typer.Option("--checkpoint", metavar="FILE", help="The extractor's weights, on disk."),
]
Device = Annotated[
    str,
    typer.Option(
        "--device", metavar="auto|cpu|cuda", help="For extractors of torch; others take the CPU."
    ),
]

PackedModels = Annotated[
    list[str],
    typer.Option("--model", metavar="TASK/TAG", help="A model to include; may be repeated."),
]
PackedSegmentations = Annotated[
    list[str],
    typer.Option(
        "--segmentation",
        metavar="TAG",
        help="Thresholds to include; those of the models always are.",
    ),
]
Notes = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Data, licence, commands: opens the model card."),
]
DataFormat = Annotated[
    Literal["lhotse", "audiofolder"],
    typer.Option(
        "--format", help="lhotse's manifests, or Hugging Face's folder with metadata.csv."
    ),
]
Format = Annotated[
    Literal["km", "text", "jsonl"],
    typer.Option("--format", help="fairseq's .km, ESPnet's 'utt_id 1 2 3', S3Tokenizer's jsonl."),
]
