"""entcomp convert"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from entcomp.cli.options import AllowPipes, Channel, Sets, SkipBad
from entcomp.cli.spread import spread
from entcomp.cli.voices import VoiceOptions
from entcomp.errors import EntcompError
from entcomp.kaldi.datadir import find_sets
from entcomp.pipelines import convert as pipeline
from entcomp.pipelines import voice_converter


@spread
def convert(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="DATA|WAV", help="A Kaldi data dir, a folder of them, or one recording."
        ),
    ],
    exp: Annotated[
        Path | None,
        typer.Argument(
            metavar="EXP",
            envvar="ENTCOMP_EXP",
            help="The experiment folder; a recording needs none, with a --model of anywhere.",
        ),
    ] = None,
    *,
    reference: Annotated[
        Path,
        typer.Option(
            metavar="WAV|TABLE", help="The voice; or a file of lines 'utterance wav', one for each."
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="A folder of data dirs or, for WAV, a file."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="vc/TAG|TAR|USER/NAME",
            help="By default the only one in EXP; else a pack, or one on the Hugging Face hub.",
        ),
    ] = None,
    options: VoiceOptions,
    sets: Sets = None,
    skip_bad: SkipBad = False,
    allow_pipes: AllowPipes = False,
    channel: Channel = None,
) -> None:
    """Speak with another voice: content from units, voice from a reference; same duration.

    Of DATA, utterances go to OUTPUT/<set>, a data dir with utt2ref (default: EXP/vc/TAG/convert).
    """
    if exp is None and source.is_dir():
        raise EntcompError(f"{source}: a data dir needs EXP, which has its units; or give one WAV")
    found = voice_converter.find_model(exp, model)
    converter = voice_converter.VoiceConverter.open(found, **options.settings)
    if source.is_file():
        if output is None:
            raise EntcompError("give an output file: -o OUT.wav")
        print(pipeline.convert_file(converter, source, reference, output, channel))
        return
    for data_set in find_sets(source, sets, channel):
        to = (output or converter.folder / "convert") / data_set.name
        line = pipeline.convert_set(converter, data_set, reference, to, skip_bad, allow_pipes)
        print(f"{data_set.name}: {line}", flush=True)
