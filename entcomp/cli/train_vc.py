"""entcomp train-vc"""

from __future__ import annotations

from typing import Annotated

import typer

from entcomp.artifacts.experiment import Experiment
from entcomp.cli.options import AllowPipes, Channel, Data, Exp, SkipBad
from entcomp.cli.spread import spread
from entcomp.cli.streams import Compression
from entcomp.cli.training import Init, Tag, Training, describe
from entcomp.pipelines import train_voices


@spread
def train_vc(
    data: Data,
    exp: Exp,
    *,
    segmentation: Annotated[
        str, typer.Option(metavar="raw|dedup|TAG", help="The stream: plain units, or groups.")
    ],
    compression: Compression,
    layout: Annotated[
        str | None,
        typer.Option(metavar="zero_insert|repeat", help="How groups are laid on mel frames."),
    ] = None,
    init: Init = None,
    training: Training,
    tag: Tag = None,
    skip_bad: SkipBad = False,
    allow_pipes: AllowPipes = False,
    channel: Channel = None,
) -> None:
    """Train a voice converter of compressed units: EXP/vc/TAG."""
    options = train_voices.VoiceTraining(
        segmentation=segmentation,
        config=training.config,
        changes=training.changed(**compression.changed, layout=layout),
        init=init,
        tag=tag,
        skip_bad=skip_bad,
        allow_pipes=allow_pipes,
    )
    result = train_voices.train_voices(Experiment(exp), training.find_sets(data, channel), options)
    print(describe(*result))
