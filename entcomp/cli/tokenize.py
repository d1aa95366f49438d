"""entcomp tokenize"""

from __future__ import annotations

import os
from typing import Annotated, Literal

import typer

from entcomp.cli.grouping import Grouping, Segments
from entcomp.cli.options import Channel, Checkpoint, NumJobs
from entcomp.cli.recordings import Files, Model, Output
from entcomp.cli.spread import spread
from entcomp.pipelines import token_files, tokenizer


@spread
def tokenize(
    files: Files,
    *,
    model: Model = None,
    grouping: Grouping,
    segmentation: Segments = None,
    kind: Annotated[
        Literal["json", "textgrid", "ctm", "kaldi"],
        typer.Option(
            "--format", help="textgrid and kaldi write to a folder, the others to a file."
        ),
    ] = "json",
    output: Output = None,
    channel: Channel = None,
    checkpoint: Checkpoint = None,
    num_jobs: NumJobs = os.cpu_count() or 1,
) -> None:
    """Turn recordings into units, entropies and groups, with their times.

    By default the groups that the model's maker chose, else 15 a second. An id is the file's name;
    a second file of that name gets -2.
    """
    found = tokenizer.Tokenizer.from_pretrained(model, checkpoint)
    rule = grouping.rule(found, segmentation)
    token_files.tokenize_files(found, rule, files, kind, output, num_jobs, channel)
