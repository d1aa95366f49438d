"""entcomp train-vocoder"""

from __future__ import annotations

from entcomp.artifacts.experiment import Experiment
from entcomp.cli.options import AllowPipes, Channel, Data, Exp, SkipBad
from entcomp.cli.spread import spread
from entcomp.cli.training import Tag, Training
from entcomp.pipelines import train_vocoder as pipeline


@spread
def train_vocoder(
    data: Data,
    exp: Exp,
    *,
    training: Training,
    tag: Tag = None,
    skip_bad: SkipBad = False,
    allow_pipes: AllowPipes = False,
    channel: Channel = None,
) -> None:
    """Train a HiFi-GAN vocoder on recordings: EXP/vocoder/TAG."""
    folder, result = pipeline.train_vocoder(
        Experiment(exp),
        training.find_sets(data, channel),
        training.config,
        training.changed(),
        tag,
        skip_bad,
        allow_pipes,
    )
    print(f"{folder}: step {result.step}, dev log mel distance {result.metrics['mel']:.4f}")
