"""What ``conf/asr/*.yaml`` and ``conf/st/*.yaml`` hold."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le

from entcomp.config import Config
from entcomp.encoder.local import LocalEncoderConfig
from entcomp.training.config import TrainingConfig

Count = Annotated[int, Gt(0)]
Fraction = Annotated[float, Ge(0), Le(1)]


class VocabularyConfig(Config):
    """The text's pieces, learnt by SentencePiece on the training text."""

    kind: Literal["unigram", "bpe", "char"] = "unigram"
    size: Count = 500  # at most: a small text has fewer
    character_coverage: Fraction = 1.0
    max_texts: Annotated[int, Gt(100)] = 500_000  # drawn for SentencePiece, 4.7 KB of memory each
    normalizer: Literal["none", "basic"] = "basic"  # of the text, in training and in scoring
    lang: str | None = None  # code of the text's language: decides on the i of Turkish
    nlsyms: list[str] | None = None  # no words; null: basic knows them by brackets


class DecoderConfig(Config):
    """A stack of Transformer blocks."""

    layers: Count = 3
    heads: Count = 4
    feed_forward: Count = 1024


class EncoderConfig(Config):
    """What stands between the vectors of groups and the decoder.

    ``transformer`` is the Conformer without its convolutions and second feed-forward; with ``none``
    the decoder attends to the local encoder's vectors, as the paper has it for compressed streams
    (section 4.2), and the other keys have no effect.
    """

    kind: Literal["conformer", "transformer", "none"] = "conformer"
    layers: Count = 4
    heads: Count = 4
    feed_forward: Count = 1024  # unless 'parameters' decides
    kernel: Count = 15  # of the convolutions: groups, an odd number


class BoundariesConfig(Config):
    """A causal predictor of where groups begin, trained with the model; see `BoundaryPredictor`."""

    target_rate: Annotated[float, Gt(0)]  # groups a second, which the ratio loss asks for
    ratio_weight: Annotated[float, Ge(0)] = 0.3  # of that loss; H-Net has 0.03, too little here
    dim: Count = 32
    layers: Count = 2  # of causal convolutions
    kernel: Count = 5  # of each: frames


class DecodingConfig(Config):
    """Defaults of ``entcomp decode``."""

    beam: Count = 5
    ctc_weight: Fraction = 0.3
    length_bonus: float = 0.0
    max_tokens: Count = 200


class TextTaskConfig(Config):
    """A recogniser or translator of compressed units; the defaults are ``conf/asr/small.yaml``."""

    vocabulary: VocabularyConfig = VocabularyConfig()
    local: LocalEncoderConfig = LocalEncoderConfig(
        heads=4, token_mixer="self", position="intra", duration_embedding=True, dropout=0.1
    )
    merge_runs: bool = False  # one token, with a duration, for equal units within a group
    boundaries: BoundariesConfig | None = None  # units are then grouped by the model itself
    dim: Count = 256
    encoder: EncoderConfig = EncoderConfig()
    decoder: DecoderConfig = DecoderConfig()
    parameters: Count | None = 12_000_000  # in all: decides on a feed_forward, see match_parameters
    dropout: Fraction = 0.1
    ctc_weight: Fraction = 0.3
    label_smoothing: Fraction = 0.1
    mask_fraction: Fraction = 0.15  # of the units, in training, by spans of mask_span frames
    mask_span: Count = 10
    batch_frames: Count = 12_000  # units a batch, over all devices
    longest: Count = 2_000  # units; longer utterances are left out of the training
    decoding: DecodingConfig = DecodingConfig()
    training: TrainingConfig = TrainingConfig(
        max_steps=4_000,
        learning_rate=1e-3,
        betas=[0.9, 0.98],
        warmup_steps=400,
        final_lr_ratio=0.02,
        val_interval=200,
        patience=10,
        keep_best=5,
        precision="bfloat16",
    )
