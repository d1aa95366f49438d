"""entcomp train-asr"""

from __future__ import annotations

from entcomp.artifacts.experiment import Experiment
from entcomp.cli.options import Data, Exp, SkipBad
from entcomp.cli.spread import spread
from entcomp.cli.streams import Compression, TextStream
from entcomp.cli.training import Init, Tag, Training, describe
from entcomp.pipelines import train_text


@spread
def train_asr(
    data: Data,
    exp: Exp,
    *,
    stream: TextStream,
    compression: Compression,
    init: Init = None,
    training: Training,
    tag: Tag = None,
    skip_bad: SkipBad = False,
) -> None:
    """Train a recogniser of units or groups: EXP/asr/TAG."""
    options = train_text.TextTraining(
        task="asr",
        target="text",
        **vars(stream),
        config=training.config,
        changes=training.changed(**compression.changed),
        init=init,
        tag=tag,
        skip_bad=skip_bad,
    )
    result = train_text.train_text(Experiment(exp), training.find_sets(data), options)
    print(describe(*result))
