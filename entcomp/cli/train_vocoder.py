"""entcomp train-vocoder"""

from __future__ import annotations

from entcomp.cli.options import AllowPipes, Data, Devices, Exp, NumNodes, given
from entcomp.cli.text_task import ConfigFile, DevSets, MaxSteps, Tag, TrainSeed, TrainSets


def train_vocoder(
    data: Data,
    exp: Exp,
    config: ConfigFile = None,
    tag: Tag = None,
    sets: TrainSets = "train*",
    dev_sets: DevSets = "dev*",
    max_steps: MaxSteps = None,
    seed: TrainSeed = None,
    devices: Devices = None,
    num_nodes: NumNodes = None,
    allow_pipes: AllowPipes = False,
) -> None:
    """Train a HiFi-GAN vocoder on recordings: EXP/vocoder/TAG."""
    from entcomp.artifacts.experiment import Experiment
    from entcomp.config import load_config, make_config
    from entcomp.kaldi.datadir import find_sets
    from entcomp.tasks.vc.vocoder_training import VocoderTrainingConfig, train_hifigan
    from entcomp.training.ranks import meet

    base = load_config(VocoderTrainingConfig, config) if config else VocoderTrainingConfig()
    values = base.model_dump()
    values["training"] |= given(
        max_steps=max_steps, seed=seed, devices=devices, num_nodes=num_nodes
    )
    resolved = make_config(VocoderTrainingConfig, values, source=str(config or "train-vocoder"))
    meet(resolved.training)
    name = tag or "_".join(["hifigan", *([f"seed{seed}"] if seed else [])])
    folder = Experiment(exp).task("vocoder", name)
    chosen = find_sets(data, sets), find_sets(data, dev_sets)
    result = train_hifigan(folder, resolved, *chosen, allow_pipes=allow_pipes)
    print(f"{folder}: step {result.step}, dev log mel distance {result.metrics['mel']:.4f}")
