"""Local encoder, encoder, decoder and CTC.

The decoder and CTC are ESPnet's, and so are the encoder's blocks; the local encoder is ours.
Shape suffixes as in `entcomp.encoder.packed`; L text pieces, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from entcomp.encoder.local import LocalEncoder, start_from_vectors
from entcomp.encoder.packed import PackedTokens, pad
from entcomp.errors import EntcompError
from entcomp.tasks.text.boundaries import Chunker
from entcomp.tasks.text.config import TextTaskConfig
from entcomp.tasks.text.encoder import build_encoder
from entcomp.tasks.text.espnet_parts import CTC, TransformerDecoder
from entcomp.tasks.text.vocabulary import Vocabulary
from entcomp.training.weights import naming_sizes, take_over

IGNORED = -1  # after the end of a target
OF_PIECES = ("decoder.embed.", "decoder.output_layer.", "ctc.")


@dataclass(frozen=True)
class TextBatch:
    """Streams and their texts: ``target_BL`` is padded with `IGNORED`."""

    source: PackedTokens
    target_BL: Tensor
    target_lengths_B: Tensor

    def to(self, device: torch.device | str) -> TextBatch:
        """The batch on another device."""
        return TextBatch(
            self.source.to(device), self.target_BL.to(device), self.target_lengths_B.to(device)
        )


class TextModel(nn.Module):
    """Joint CTC and attention model of text, given groups of units.

    ``num_clusters`` units, of which the embedding has one more: the mask (see `data.mask_spans`).
    With ``config.boundaries``, each group that it is given is a unit, and it groups these itself;
    ``frame_shift`` (seconds) is needed for that only.
    """

    def __init__(
        self,
        config: TextTaskConfig,
        num_clusters: int,
        vocabulary_size: int,
        frame_shift: float,
    ) -> None:
        super().__init__()
        self.config = config
        self.local = LocalEncoder(config.local, num_clusters + 1, config.dim)
        self.encoder = build_encoder(config)
        self.decoder = TransformerDecoder(
            vocabulary_size,
            config.dim,
            attention_heads=config.decoder.heads,
            linear_units=config.decoder.feed_forward,
            num_blocks=config.decoder.layers,
            dropout_rate=config.dropout,
            positional_dropout_rate=config.dropout,
        )
        # ESPnet multiplies by sqrt(dim), so that embeddings as large as torch's hide positions.
        nn.init.normal_(self.decoder.embed[0].weight, std=config.dim**-0.5)
        self.ctc = CTC(vocabulary_size, config.dim)
        self.chunker: Chunker | None = None
        if config.boundaries is not None:
            self.chunker = Chunker(config.boundaries, num_clusters + 1, frame_shift)

    def start_from_vectors(self, vectors_KF: Tensor) -> None:
        """Begin with embeddings as alike as (K, F) vectors are; see `LocalEncoder`."""
        self.local.start_from_vectors(vectors_KF)
        if self.chunker is not None:
            start_from_vectors(self.chunker.predictor.embedding, vectors_KF)

    def start_from(self, other: TextModel, folder: Path, same_pieces: bool) -> None:
        """Take over the weights of the model in ``folder``; see `take_over`.

        Those of text pieces only if they are the same ones.
        """
        take_over(self, other.state_dict(), folder, but=() if same_pieces else OF_PIECES)

    def encode(self, source: PackedTokens) -> tuple[Tensor, Tensor]:
        """Encoder states (B, M, D) and their numbers (B,): one a group."""
        states_BMD, lengths_B, _ = self._encode(source)
        return states_BMD, lengths_B

    def _encode(self, source: PackedTokens) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """As `encode`, and what is to be known of groups that are learnt; see `Chunker`."""
        if self.chunker is None:
            lengths_B, learnt = source.num_groups_B, {}
            groups_BMD = pad(self.local(source), lengths_B)
        else:
            chunks, learnt = self.chunker(source, self.config.merge_runs)
            lengths_B = chunks.source.num_groups_B
            groups_BMD = chunks.smooth(self.local(chunks.source))
        return self.encoder(groups_BMD, lengths_B), lengths_B, learnt

    def forward(self, batch: TextBatch) -> dict[str, Tensor]:
        """`loss`, where compilation finds it."""
        states_BMD, lengths_B, learnt = self._encode(batch.source)
        pieces = batch.target_lengths_B.sum() + len(batch.target_BL)
        losses = self._attention_loss(states_BMD, lengths_B, batch, pieces)
        weight = self.config.ctc_weight
        if weight > 0:
            losses["ctc"] = self._ctc_loss(states_BMD, lengths_B, batch) / pieces
        else:
            losses["ctc"] = losses["attention"].new_zeros(())
        losses["loss"] = (1 - weight) * losses["attention"] + weight * losses["ctc"]
        if self.config.boundaries is not None:
            losses["loss"] = losses["loss"] + self.config.boundaries.ratio_weight * learnt["ratio"]
        return losses | learnt | {"count": pieces}

    def loss(self, batch: TextBatch) -> dict[str, Tensor]:
        """Mean nats a text piece (with eos): attention, CTC, and their weighted sum ``loss``.

        ``accuracy`` is that of the decoder given the true previous pieces. Of groups that are
        learnt also ``ratio``, a weighted part of ``loss``, and their ``rate`` in Hz.
        """
        return self(batch)

    def _ctc_loss(self, states_BMD: Tensor, lengths_B: Tensor, batch: TextBatch) -> Tensor:
        """The sum over utterances, in float32; an utterance too short for CTC counts as zero."""
        with torch.autocast(states_BMD.device.type, enabled=False):  # sums of many logarithms
            mean = self.ctc(states_BMD.float(), lengths_B, batch.target_BL, batch.target_lengths_B)
        return mean * len(lengths_B)

    def _attention_loss(
        self, states_BMD: Tensor, lengths_B: Tensor, batch: TextBatch, pieces: Tensor
    ) -> dict[str, Tensor]:
        input_BL = F.pad(batch.target_BL, (1, 0), value=Vocabulary.eos)
        input_BL = input_BL.masked_fill(input_BL == IGNORED, Vocabulary.eos)
        output_BL = F.pad(batch.target_BL, (0, 1), value=IGNORED)
        output_BL = output_BL.scatter(1, batch.target_lengths_B[:, None], Vocabulary.eos)
        logits_BLV, _ = self.decoder(states_BMD, lengths_B, input_BL, batch.target_lengths_B + 1)
        loss = F.cross_entropy(
            logits_BLV.flatten(0, 1).float(),
            output_BL.flatten(),
            ignore_index=IGNORED,
            label_smoothing=self.config.label_smoothing if self.training else 0.0,
        )
        right = (logits_BLV.argmax(-1) == output_BL).sum()
        return {"attention": loss, "accuracy": right / pieces}


def build_model(
    config: TextTaskConfig, num_clusters: int, vocabulary_size: int, frame_shift: float
) -> TextModel:
    """The model that ``config`` describes, seeded by ``config.training.seed``.

    Raises EntcompError for sizes that cannot be.
    """
    torch.manual_seed(config.training.seed)
    with naming_sizes("fix heads, which divide dim, or encoder.kernel, which is odd"):
        config = match_parameters(config, num_clusters, vocabulary_size, frame_shift)
        return TextModel(config, num_clusters, vocabulary_size, frame_shift)


def match_parameters(
    config: TextTaskConfig, num_clusters: int, vocabulary_size: int, frame_shift: float
) -> TextTaskConfig:
    """Choose a ``feed_forward`` so that the model has ``config.parameters`` in all.

    It is the encoder's or, without one, the decoder's. So streams, poolings and encoders are
    compared at one size. Raises EntcompError where even the narrowest one is larger.
    """
    if config.parameters is None:
        return config

    def with_width(width: int) -> TextTaskConfig:
        part = "decoder" if config.encoder.kind == "none" else "encoder"
        layers = getattr(config, part).model_copy(update={"feed_forward": width})
        return config.model_copy(update={part: layers})

    def size(width: int) -> int:
        with torch.device("meta"):
            model = TextModel(with_width(width), num_clusters, vocabulary_size, frame_shift)
        return sum(one.numel() for one in model.parameters())

    narrowest, slope = size(1), size(2) - size(1)
    width = 1 + round((config.parameters - narrowest) / slope)
    if width < 1:
        raise EntcompError(
            f"config: parameters: {config.parameters} are too few; the rest has {narrowest}"
        )
    return with_width(width)
