"""entcomp tokenize"""

from __future__ import annotations

import os
from typing import Annotated

import typer

from entcomp.cli.options import Checkpoint, NumJobs
from entcomp.cli.recordings import (
    Criterion,
    Files,
    Model,
    Output,
    Recordings,
    Segments,
    TargetRate,
    choose_rule,
)
from entcomp.cli.token_files import TokenFormat, open_writer


def tokenize(
    files: Files,
    model: Model = None,
    target_rate: TargetRate = 15.0,
    criterion: Criterion = "global",
    segments: Segments = None,
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
    """Turn recordings into units, entropies and groups, with their times."""
    from entcomp.errors import EntcompError
    from entcomp.tokenizer import Tokenizer
    from entcomp.units.stream import Recording

    tokenizer = Tokenizer.from_pretrained(model, checkpoint)
    rule = choose_rule(tokenizer, segments, target_rate, criterion)
    recordings = Recordings(files)
    ids = sorted(recordings.paths) if kind == TokenFormat.kaldi else list(recordings.paths)
    with (
        recordings.progress("tokenize", tokenizer.info.sample_rate) as read,
        open_writer(kind, output) as write,
    ):
        paths = recordings.paths
        sources = (Recording(str(paths[one]), read(one), one) for one in ids)
        for source, found in tokenizer.encode_recordings(sources, rule, num_jobs):
            if isinstance(found, EntcompError):
                recordings.fail(source.utt_id, found)
            else:
                write(source.utt_id, paths[source.utt_id], found)
