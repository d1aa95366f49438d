"""entcomp decode"""

from __future__ import annotations

from typing import Annotated

import typer

from entcomp.artifacts.experiment import Experiment
from entcomp.cli.options import Data, Exp
from entcomp.kaldi.datadir import find_sets
from entcomp.pipelines import decode as pipeline


def decode(
    data: Data,
    exp: Exp,
    model: Annotated[str, typer.Option(metavar="TASK/TAG", help="As in asr/raw or st/fr_raw.")],
    sets: Annotated[str, typer.Option(metavar="NAMES", help="Sets to decode.")] = "test*",
    segmentation: Annotated[
        str | None,
        typer.Option(
            metavar="raw|dedup|TAG",
            help="Other groups than in training; needed after --random-rates.",
        ),
    ] = None,
    beam: Annotated[int | None, typer.Option(min=1, help="Beam size.")] = None,
    ctc_weight: Annotated[
        float | None, typer.Option(min=0, max=1, help="Weight of CTC; the decoder has the rest.")
    ] = None,
    length_bonus: Annotated[
        float | None, typer.Option(help="Bonus for each text piece, in nats.")
    ] = None,
) -> None:
    """Turn speech units to text, and score it where there is a reference.

    Writes EXP/TASK/TAG/decode_<set>: text, hyp.trn, ref.trn and scores.json. Options that differ
    from training become part of the folder's name.
    """
    chosen = find_sets(data, sets)
    search = {"beam": beam, "ctc_weight": ctc_weight, "length_bonus": length_bonus}
    decoding = pipeline.Decoding.open(Experiment(exp), model, segmentation, **search)
    for data_set in chosen:
        for line in decoding.decode(data_set):
            print(line, flush=True)
