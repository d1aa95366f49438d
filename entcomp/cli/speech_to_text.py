"""The options that transcribe and translate share."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from entcomp.cli.grouping import Grouping, Segments
from entcomp.cli.options import Channel, Checkpoint, NumJobs
from entcomp.cli.recordings import Output
from entcomp.pipelines import recognizer, text_files


@dataclass(frozen=True)
class TextOptions:
    """All but the groups."""

    model: Annotated[
        str,
        typer.Option(
            metavar="EXP/asr/TAG|TAR|USER/NAME",
            help="An experiment's model, a pack, or one on the Hugging Face hub.",
        ),
    ]
    segmentation: Segments = None
    longest: Annotated[
        float,
        typer.Option(min=2, metavar="SECONDS", help="Longer recordings are split at silences."),
    ] = 20.0
    form: Annotated[
        Literal["text", "json"],
        typer.Option("--format", help="json also has the times of pieces."),
    ] = "text"
    output: Output = None
    channel: Channel = None
    checkpoint: Checkpoint = None
    num_jobs: NumJobs = os.cpu_count() or 1


def run(
    kind: type[recognizer.SpeechToText], files: list[Path], options: TextOptions, grouping: Grouping
) -> None:
    """Groups are those that the model was trained on, unless others are asked for."""
    model = kind.from_pretrained(options.model, options.checkpoint)
    if options.segmentation or grouping.is_given:
        model.rule = grouping.rule(model.tokenizer, options.segmentation)
    text_files.write_texts(
        model,
        files,
        options.form,
        options.output,
        options.longest,
        options.num_jobs,
        options.channel,
    )
