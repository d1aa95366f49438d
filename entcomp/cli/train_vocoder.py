"""entcomp train-vocoder"""

from __future__ import annotations

from entcomp.artifacts.experiment import Experiment
from entcomp.cli.options import AllowPipes, Data, Exp, spread
from entcomp.cli.training import Tag, Training
from entcomp.config import resolve_config
from entcomp.tasks.vc.vocoder_training import VocoderTrainingConfig, train_hifigan
from entcomp.training.ranks import meet


@spread
def train_vocoder(
    data: Data,
    exp: Exp,
    *,
    training: Training,
    tag: Tag = None,
    allow_pipes: AllowPipes = False,
) -> None:
    """Train a HiFi-GAN vocoder on recordings: EXP/vocoder/TAG."""
    changes = training.changed()
    config = resolve_config(VocoderTrainingConfig(), training.config, changes)
    meet(config.training)
    seed = changes.get("training.seed")
    folder = Experiment(exp).task("vocoder", tag or (f"hifigan_seed{seed}" if seed else "hifigan"))
    result = train_hifigan(folder, config, *training.find_sets(data), allow_pipes=allow_pipes)
    print(f"{folder}: step {result.step}, dev log mel distance {result.metrics['mel']:.4f}")
