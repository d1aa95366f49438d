"""What the entropy LM is and how it is trained; the defaults are those of conf/lm/small.yaml."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Gt, Lt
from pydantic import ValidationInfo, field_validator

from entcomp.artifacts.experiment import Direction
from entcomp.artifacts.models import LmUnits
from entcomp.config import Config
from entcomp.training.config import TrainingConfig


class LMConfig(Config):
    """A LLaMA-style decoder over units.

    ``lm_units: dedup`` collapses repeats before the LM sees them. ``direction: backward`` predicts
    each unit from those after it. Utterances longer than ``context`` are scored in chunks that
    share ``score_overlap`` units.
    """

    layers: Annotated[int, Gt(0)] = 4
    dim: Annotated[int, Gt(0)] = 192
    heads: Annotated[int, Gt(0)] = 4
    ffn_dim: Annotated[int, Gt(0)] = 512  # of SwiGLU
    context: Annotated[int, Gt(1)] = 512  # units
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.1  # of what each block adds
    lm_units: LmUnits = "raw"
    direction: Direction = "forward"
    rows_per_batch: Annotated[int, Gt(0)] = 4  # of ``context`` units each
    score_overlap: Annotated[int, Ge(0)] = 256  # units
    training: TrainingConfig = TrainingConfig(
        max_steps=450,
        learning_rate=2e-3,
        warmup_steps=40,
        val_interval=75,
        log_interval=10,
        patience=3,
    )

    @field_validator("heads")
    @classmethod
    def _check_heads(cls, heads: int, info: ValidationInfo) -> int:
        if "dim" in info.data and info.data["dim"] % (2 * heads):
            raise ValueError(f"dim {info.data['dim']} is no multiple of 2 x {heads} heads")
        return heads

    @field_validator("score_overlap")
    @classmethod
    def _check_overlap(cls, overlap: int, info: ValidationInfo) -> int:
        if overlap >= info.data.get("context", overlap + 1):
            raise ValueError(f"must be less than context ({info.data['context']})")
        return overlap
