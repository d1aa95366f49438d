"""entcomp explore"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from entcomp.cli.options import Channel, Checkpoint
from entcomp.cli.recordings import Model
from entcomp.pipelines import explore as pipeline
from entcomp.pipelines import recordings, tokenizer


def explore(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Recordings, of a minute at most.")
    ],
    model: Model = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="HTML", show_default="the first FILE's name, here"),
    ] = None,
    textgrid: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Of one FILE.", show_default="those beside each FILE"),
    ] = None,
    start: Annotated[float, typer.Option(min=0, metavar="SECONDS")] = 0.0,
    end: Annotated[float | None, typer.Option(metavar="SECONDS", show_default="the end")] = None,
    channel: Channel = None,
    checkpoint: Checkpoint = None,
) -> None:
    """One page to move thresholds in, and to see, score and hear the groups of recordings."""
    output = output or recordings.named_after(files[0], ".html")
    recordings.check_output(output, inputs=[*files, textgrid])
    own = tokenizer.Tokenizer.from_pretrained(model, checkpoint)
    found = pipeline.explore_files(own, files, output, textgrid, start, end, channel)
    seconds = sum(len(one.waveform) for one in found) / own.info.sample_rate
    number = "1 recording" if len(found) == 1 else f"{len(found)} recordings"
    print(f"{output}: {number}, {seconds:.2f} s, {output.stat().st_size:,} bytes")
