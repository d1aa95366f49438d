"""entcomp transcribe"""

from __future__ import annotations

import os

from entcomp.cli.options import Checkpoint, NumJobs
from entcomp.cli.recordings import Criterion, Files, Output, Segments
from entcomp.cli.speech_to_text import (
    Format,
    Longest,
    OtherRate,
    TaskModel,
    TextFormat,
    TextOptions,
    write_texts,
)


def transcribe(
    files: Files,
    model: TaskModel,
    segments: Segments = None,
    target_rate: OtherRate = None,
    criterion: Criterion = "global",
    longest: Longest = 20.0,
    form: Format = TextFormat.text,
    output: Output = None,
    checkpoint: Checkpoint = None,
    num_jobs: NumJobs = os.cpu_count() or 1,
) -> None:
    """Write the words that are spoken in recordings."""
    options = TextOptions(
        kind="asr",
        verb="transcribe",
        model=model,
        segments=segments,
        target_rate=target_rate,
        criterion=criterion,
        longest=longest,
        form=form,
        output=output,
        checkpoint=checkpoint,
        num_jobs=num_jobs,
    )
    write_texts(files, options)
