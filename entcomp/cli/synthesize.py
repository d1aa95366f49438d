"""entcomp synthesize"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from entcomp.cli.options import SkipBad
from entcomp.cli.spread import spread
from entcomp.cli.voices import VoiceOptions
from entcomp.pipelines import synthesize as pipeline
from entcomp.pipelines import voice_converter


@spread
def synthesize(
    units: Annotated[
        list[Path],
        typer.Argument(
            metavar="UNITS...",
            help="What tokenize writes (JSON lines, a Kaldi folder), scp, ark, lines of "
            "'utt_id 1 2 3'; - is the standard input.",
        ),
    ],
    *,
    model: Annotated[
        str, typer.Option(metavar="EXP/vc/TAG|TAR", help="A voice converter, or a pack of one.")
    ],
    voice: Annotated[
        Path,
        typer.Option(
            "--voice",
            "--reference",
            metavar="WAV|TABLE",
            help="Who speaks; or a file of lines 'utterance wav', one for each.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="OUT", help="A folder or, of one utterance, .wav."),
    ],
    deduplicated: Annotated[
        bool,
        typer.Option(
            "--deduplicated",
            help="Units come one a run, without durations: each lasts its mean in training.",
        ),
    ] = False,
    segmentation: Annotated[
        str | None,
        typer.Option(
            metavar="raw|dedup|TAG",
            help="Make groups anew; else those of UNITS count or, without any, the model's own.",
        ),
    ] = None,
    options: VoiceOptions,
    skip_bad: SkipBad = False,
) -> None:
    """Hear units: speech of units or groups alone, without a recording, in somebody's voice.

    The folder becomes a data dir of wav/<utterance>.wav, which score-vc --converted reads.
    """
    converter = voice_converter.VoiceConverter.from_pretrained(model, **options.settings)
    how = pipeline.UnitReading(deduplicated, segmentation, skip_bad)
    print(pipeline.synthesize_files(converter, units, voice, output, how))
