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

Sources = Annotated[
    list[Path],
    typer.Argument(
        metavar="DATA|WAV... [EXP]",
        help="A Kaldi data dir, a folder of them, or recordings; and the experiment folder, "
        "which recordings do without, with a --model of anywhere.",
    ),
]
Reference = Annotated[
    Path,
    typer.Option(
        metavar="WAV|TABLE", help="The voice; or a file of lines 'utterance wav', one for each."
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        help="A folder of data dirs; for WAV a file, for several a folder of NAME.wav.",
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        metavar="vc/TAG|TAR|USER/NAME",
        help="By default the only one in EXP; else a pack, or one on the Hugging Face hub.",
    ),
]


@spread
def convert(
    sources: Sources,
    *,
    reference: Reference,
    output: Output = None,
    model: Model = None,
    exp: Annotated[Path | None, typer.Option(envvar="ENTCOMP_EXP", hidden=True)] = None,
    options: VoiceOptions,
    sets: Sets = None,
    skip_bad: SkipBad = False,
    allow_pipes: AllowPipes = False,
    channel: Channel = None,
) -> None:
    """Speak with another voice: content from units, voice from a reference; same duration.

    Of DATA, utterances go to OUTPUT/<set>, a data dir with utt2ref (default: EXP/vc/TAG/convert).
    """
    data, recordings, exp = _parse(sources, exp)
    found = voice_converter.find_model(exp, model)
    if output is None and data is None:
        raise EntcompError("give an output: -o OUT.wav or, of several recordings, -o FOLDER")
    converter = voice_converter.VoiceConverter.open(found, **options.settings)
    if data is not None:
        for data_set in find_sets(data, sets, channel):
            to = (output or converter.folder / "convert") / data_set.name
            line = pipeline.convert_set(converter, data_set, reference, to, skip_bad, allow_pipes)
            print(f"{data_set.name}: {line}", flush=True)
    elif output is not None:
        for line in pipeline.convert_files(converter, recordings, reference, output, channel):
            print(line, flush=True)


def _parse(sources: list[Path], exp: Path | None) -> tuple[Path | None, list[Path], Path | None]:
    """A data dir or recordings, and EXP: the last of several arguments, if it is a folder.

    Raises EntcompError for what is not there, such as a mistyped EXP.
    """
    if missing := [one for one in sources if not one.exists()]:
        raise EntcompError(f"{missing[0]}: no such file or folder")
    if len(sources) > 1 and sources[-1].is_dir():
        *sources, exp = sources
    folders = [one for one in sources if one.is_dir()]
    if not folders:
        return None, sources, exp
    if len(sources) > 1:
        raise EntcompError(f"{folders[0]}: convert one data dir at a time, without recordings")
    if exp is None:
        raise EntcompError(f"{folders[0]}: a data dir needs EXP, which has its units; or give WAVs")
    return folders[0], [], exp
