"""entcomp train-st"""

from __future__ import annotations

from typing import Annotated

import typer

from entcomp.artifacts.experiment import Experiment
from entcomp.cli.options import Data, Exp, SkipBad
from entcomp.cli.spread import spread
from entcomp.cli.streams import Compression, TextStream
from entcomp.cli.training import Init, Tag, Training, describe
from entcomp.evaluation.text.languages import language_of
from entcomp.pipelines import train_text


@spread
def train_st(
    data: Data,
    exp: Exp,
    *,
    lang: Annotated[str, typer.Option(help="Language to translate to: of DATA/<set>/text.LANG.")],
    stream: TextStream,
    compression: Compression,
    init: Init = None,
    training: Training,
    tag: Tag = None,
    skip_bad: SkipBad = False,
) -> None:
    """Train a translator of speech, from units or groups to text: EXP/st/TAG."""
    language_of(lang)  # raises if BLEU will not know it
    options = train_text.TextTraining(
        task="st",
        target=f"text.{lang}",
        **vars(stream),
        config=training.config,
        changes=training.changed(**compression.changed),
        init=init,
        tag=tag,
        skip_bad=skip_bad,
    )
    result = train_text.train_text(Experiment(exp), training.find_sets(data), options)
    print(describe(*result))
