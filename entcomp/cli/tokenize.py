"""entcomp tokenize"""

from __future__ import annotations

import os
from typing import Annotated

import typer

from entcomp.cli.grouping import Grouping, Segments
from entcomp.cli.options import Checkpoint, NumJobs, spread
from entcomp.cli.recordings import Files, Model, Output
from entcomp.pipelines.token_files import TokenFormat, tokenize_files
from entcomp.pipelines.tokenizer import Tokenizer


@spread
def tokenize(
    files: Files,
    *,
    model: Model = None,
    grouping: Grouping,
    segmentation: Segments = None,
    kind: Annotated[
        TokenFormat,
        typer.Option(
            "--format", help="textgrid and kaldi write to a folder, the others to a file."
        ),
    ] = TokenFormat.json,
    output: Output = None,
    checkpoint: Checkpoint = None,
    num_jobs: NumJobs = os.cpu_count() or 1,
) -> None:
    """Turn recordings into units, entropies and groups, with their times.

    By default 15 groups a second. An id is the file's name; a second file of that name gets -2.
    """
    tokenizer = Tokenizer.from_pretrained(model, checkpoint)
    rule = grouping.rule(tokenizer, segmentation)
    tokenize_files(tokenizer, rule, files, kind, output, num_jobs)
