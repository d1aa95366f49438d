"""entcomp tokenize"""

from __future__ import annotations

import os
from typing import Annotated

import typer

from entcomp.cli.grouping import Grouping, Segments
from entcomp.cli.options import Checkpoint, NumJobs, spread
from entcomp.cli.recordings import Files, Model, Output, Recordings
from entcomp.cli.token_files import TokenFormat, open_writer


@spread
def tokenize(
    files: Files,
    *,
    model: Model = None,
    grouping: Grouping,
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
    """Turn recordings into units, entropies and groups, with their times.

    By default 15 groups a second. An id is the file's name; a second file of that name gets -2.
    """
    from entcomp.errors import EntcompError
    from entcomp.pipelines.tokenizer import Tokenizer
    from entcomp.units.stream import Recording

    tokenizer = Tokenizer.from_pretrained(model, checkpoint)
    rule = grouping.rule(tokenizer, segments)
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
