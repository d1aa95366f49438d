"""entcomp plot"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from entcomp.cli.grouping import Grouping, Segments
from entcomp.cli.options import Checkpoint, spread
from entcomp.cli.recordings import Model, check_output

if TYPE_CHECKING:
    from entcomp.report.figures import Span

LONGEST = 60.0  # seconds in one picture


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
    start: Annotated[float, typer.Option(min=0, metavar="SECONDS")] = 0.0,
    end: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", show_default="the end"),
    ] = None,
    segments: Segments = None,
    checkpoint: Checkpoint = None,
) -> None:
    """Draw the spectrogram, entropy and groups of a recording, with words where they are known."""
    from entcomp.audio.read import read_wav
    from entcomp.errors import EntcompError
    from entcomp.files import atomic_path
    from entcomp.formats.textgrid import textgrid_beside
    from entcomp.pipelines.tokenizer import Tokenizer
    from entcomp.report.figures import entropy_figure, png

    output = output or Path(file.with_suffix(".png").name)
    check_output(output)
    tokenizer = Tokenizer.from_pretrained(model, checkpoint)
    rate = tokenizer.info.sample_rate
    waveform = read_wav(file, rate, start, end)
    if len(waveform) > LONGEST * rate:
        raise EntcompError(f"{file}: more than {LONGEST:g} s; choose a part by --start and --end")
    rule = grouping.rule(tokenizer, segments)
    found = tokenizer.encode(waveform, rate, rule=rule, name=str(file))
    if found.entropies is None:
        raise EntcompError(f"--criterion {rule.criterion}: reads no entropy that could be drawn")
    grid = textgrid or textgrid_beside(file)
    words, phones = (_spans(grid, tier, start) for tier in ("words", "phones"))
    figure = entropy_figure(
        waveform,
        rate,
        found.entropies,
        found.groups,
        found.info.frame_shift,
        found.info.receptive_offset,
        words,
        phones,
        rule.theta_g,
    )
    with atomic_path(output) as temporary:
        temporary.write_bytes(png(figure))
    print(f"{output}: {found.duration:.2f} s, {len(found.groups)} groups, {found.rate:.2f} Hz")


def _spans(path: Path | None, kind: str, start: float) -> list[Span]:
    """Words or phones with their times from ``start`` on; none where there is no such tier."""
    from entcomp.formats.textgrid import TIER_NAMES, read_textgrid

    if path is None:
        return []
    grid = read_textgrid(path)
    if not set(TIER_NAMES[kind]) & {name.split(" - ")[-1] for name in grid.tiers}:
        return []
    tier = grid.tier(kind)
    return [(one.start - start, one.end - start, one.label) for one in tier if one.end > start]
