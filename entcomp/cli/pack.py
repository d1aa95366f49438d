"""entcomp pack"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from entcomp.cli.options import Exp


def pack(
    exp: Exp,
    output: Annotated[
        Path,
        typer.Argument(metavar="OUT", help="OUT.tar, or a folder as those in entcomp/pretrained."),
    ],
    model: Annotated[
        list[str], typer.Option(metavar="asr/TAG|st/TAG", help="To take along; may be repeated.")
    ] = [],  # noqa: B006 - Typer's
    segments: Annotated[
        list[str], typer.Option(metavar="TAG", help="Thresholds likewise; those of models are.")
    ] = [],  # noqa: B006
    notes: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Data, licence, commands: opens the model card."),
    ] = None,
) -> None:
    """Pack a trained pipeline into one file that runs on another machine, by --model OUT.tar.

    Codebook, LMs, calibration, thresholds, models, configs, hashes, and a model card of what the
    stages have measured. The same EXP gives the same bytes.
    """
    from entcomp.artifacts import packing
    from entcomp.artifacts.experiment import Experiment
    from entcomp.errors import EntcompError
    from entcomp.lm.onnx_lm import OnnxLM
    from entcomp.report.model_card import model_card

    experiment = Experiment(exp)
    if notes is not None and not notes.is_file():
        raise EntcompError(f"--notes {notes}: no such file")
    text = notes.read_text(encoding="utf-8") if notes else f"# {output.stem}"
    own = [tag for one in model for tag in packing.segments_of(experiment, one)]
    tags = sorted({*segments, *own})
    for folder in filter(Path.is_dir, map(experiment.lm, packing.DIRECTIONS)):
        OnnxLM.open(folder)  # which exports it, if it never was
    sizes = packing.pack(experiment, output, tags, model, model_card(experiment, tags, model, text))
    for name, size in sizes.items():
        print(f"{size:12,} {name}")
    print(f"{sum(sizes.values()):12,} bytes to {output}")
