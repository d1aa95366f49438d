"""entcomp score-vc"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from entcomp.cli.options import AllowPipes, Checkpoint, Data, Exp, Sets

if TYPE_CHECKING:
    from entcomp.artifacts.experiment import Experiment
    from entcomp.evaluation.voices.judges import Recogniser


def score_vc(
    data: Data,
    exp: Exp,
    converted: Annotated[
        list[Path] | None,
        typer.Option(help="Output of convert; may be repeated. By default all in EXP/vc."),
    ] = None,
    asr: Annotated[
        list[str],
        typer.Option(metavar="moonshine|asr/TAG|none", help="May be repeated."),
    ] = ["moonshine"],  # noqa: B006 - Typer's
    vocoder: Annotated[
        str | None,
        typer.Option(metavar="NAME|PATH", help="The one that convert was given, to resynthesise."),
    ] = None,
    moonshine: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where its files are.")
    ] = None,
    utmos: Annotated[Path | None, typer.Option(metavar="FILE", help="UTMOS: utmos.jit.")] = None,
    checkpoint: Checkpoint = None,
    sets: Sets = None,
    allow_pipes: AllowPipes = False,
) -> None:
    """Score converted speech beside its source and the vocoder's copy of it.

    Writes EXP/vc/scores/<set>: table.md, scores.json, and each utterance's scores.
    """
    from entcomp.artifacts.experiment import Experiment
    from entcomp.errors import EntcompError
    from entcomp.evaluation.voices.judges import Judges
    from entcomp.evaluation.voices.mos import mos_predictors
    from entcomp.evaluation.voices.speaker import SpeakerEncoder
    from entcomp.kaldi.datadir import find_sets
    from entcomp.pipelines.score_voices import Comparison

    experiment = Experiment(exp)
    recognisers = [_recogniser(experiment, one, moonshine, checkpoint) for one in asr]
    judges = Judges([one for one in recognisers if one], mos_predictors(utmos), SpeakerEncoder())
    for data_set in find_sets(data, sets):
        systems = _systems(experiment, data_set.name, converted or [])
        if not systems:
            raise EntcompError(f"{exp / 'vc'}: nothing converted of {data_set.name}; run convert")
        comparison = Comparison.open(experiment, data_set, systems, judges, vocoder, allow_pipes)
        print(comparison.score())


def _systems(experiment: Experiment, set_name: str, converted: list[Path]) -> dict[str, Path]:
    """Folders of converted utterances of a set by name: those given, or all of EXP's models."""
    if converted:
        return {path.name: path / set_name for path in converted}
    found = sorted((experiment.path / "vc").glob(f"*/convert/{set_name}/stage.json"))
    return {path.parents[2].name: path.parent for path in found}


def _recogniser(
    experiment: Experiment, name: str, moonshine: Path | None, checkpoint: Path | None
) -> Recogniser | None:
    """Moonshine, or a recogniser of units that was trained in EXP; None for ``none``."""
    from entcomp.errors import EntcompError
    from entcomp.evaluation.voices.moonshine_asr import MoonshineAsr
    from entcomp.pipelines.recognizer import UnitsRecogniser
    from entcomp.units.extractors.moonshine import find_encoder

    if name == "none":
        return None
    if name == "moonshine":
        return MoonshineAsr(moonshine or find_encoder().parent)
    if not name.startswith("asr/"):
        raise EntcompError(f"--asr {name}: one of moonshine, asr/TAG, none")
    return UnitsRecogniser.open(experiment, name, checkpoint)
