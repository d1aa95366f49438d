"""entcomp plot"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from entcomp.cli.grouping import Grouping, Segments
from entcomp.cli.options import Channel, Checkpoint
from entcomp.cli.recordings import Model
from entcomp.cli.spread import spread
from entcomp.pipelines import plot as pipeline
from entcomp.pipelines import recordings, tokenizer


@spread
def plot(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A recording.")],
    *,
    model: Model = None,
    grouping: Grouping,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="PNG", show_default="FILE's name, here"),
    ] = None,
    textgrid: Annotated[
        Path | None, typer.Option(metavar="FILE", show_default="the one beside FILE")
    ] = None,
    start: Annotated[
        float,
        typer.Option(
            min=0, metavar="SECONDS", help="A part is drawn as if it were a recording of its own."
        ),
    ] = 0.0,
    end: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", show_default="the end"),
    ] = None,
    segmentation: Segments = None,
    channel: Channel = None,
    checkpoint: Checkpoint = None,
) -> None:
    """Draw the spectrogram, entropy and groups of a recording, with words where they are known."""
    output = output or recordings.named_after(file, ".png")
    recordings.check_output(output, inputs=[file, textgrid], ending=".png")
    own = tokenizer.Tokenizer.from_pretrained(model, checkpoint)
    rule = grouping.rule(own, segmentation)
    found = pipeline.plot_file(own, rule, file, output, textgrid, start, end, channel)
    print(f"{output}: {found.duration:.2f} s, {len(found.groups)} groups, {found.rate:.2f} Hz")
