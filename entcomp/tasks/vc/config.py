"""The config of a voice conversion model: ``conf/vc/*.yaml``."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Gt, Le

from entcomp.audio.mel import MelConfig
from entcomp.config import Config
from entcomp.encoder.local import LocalEncoderConfig
from entcomp.tasks.vc.content import Layout
from entcomp.tasks.vc.dit import DitConfig
from entcomp.tasks.vc.mean_mel import MeanMelConfig
from entcomp.training.config import TrainingConfig

Probability = Annotated[float, Ge(0), Le(1)]


class BatchConfig(Config):
    """What a training example is: a prompt and, behind it, a target of the same speaker."""

    size: Annotated[int, Gt(0)] = 16  # examples a batch
    max_target: Annotated[float, Gt(0)] = 6.0  # seconds
    max_prompt: Annotated[float, Gt(0)] = 3.0  # seconds, of the prompt in conversion too
    prompt_dropout: Probability = 0.2  # of the prompt alone; the voice's embedding stays
    condition_dropout: Probability = 0.1  # of all conditions, for classifier-free guidance
    voice_dropout: Probability = 0.1  # of prompt and embedding, for guidance towards the voice


class SamplerConfig(Config):
    """How a mel is drawn, unless the command line says otherwise."""

    steps: Annotated[int, Gt(0)] = 25
    guidance: Annotated[float, Ge(0)] = 0.7  # away from no condition at all
    voice_guidance: Annotated[float, Ge(0)] = 0.0  # away from the content in nobody's voice
    temperature: Annotated[float, Ge(0)] = 1.0  # standard deviation of the initial noise


class VcConfig(Config):
    """Units and a reference to mel, by flow matching; the defaults are ``conf/vc/small.yaml``."""

    mel: MelConfig = MelConfig()
    local: LocalEncoderConfig = LocalEncoderConfig(
        embedding="codebook", layers=1, heads=2, position="intra", duration_embedding=True
    )
    merge_runs: bool = True  # equal units within a group are one token
    layout: Layout = "repeat"
    dit: DitConfig = DitConfig(patch=2)
    mean_mel: MeanMelConfig | None = MeanMelConfig(first=0.6)
    ema_decay: Probability = 0.99
    batch: BatchConfig = BatchConfig(size=12, max_target=2.0, max_prompt=1.0)
    sampler: SamplerConfig = SamplerConfig(
        steps=5, guidance=2.0, voice_guidance=0.5, temperature=0.3
    )
    training: TrainingConfig = TrainingConfig(
        max_steps=4_000,
        learning_rate=3e-3,
        precision="bfloat16",
        warmup_steps=20,
        final_lr_ratio=0.02,
        val_interval=250,
        log_interval=20,
    )
