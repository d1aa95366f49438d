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
    """Compressed units and a reference to mel, by flow matching."""

    mel: MelConfig = MelConfig()
    local: LocalEncoderConfig = LocalEncoderConfig()
    merge_runs: bool = False  # equal units within a group are one token
    layout: Layout = "zero_insert"
    dit: DitConfig = DitConfig()
    mean_mel: MeanMelConfig | None = MeanMelConfig()
    ema_decay: Probability = 0.999
    batch: BatchConfig = BatchConfig()
    sampler: SamplerConfig = SamplerConfig()
    training: TrainingConfig = TrainingConfig()
