"""ESPnet's Conformer, or Transformer, made independent of what else is in the batch.

ESPnet's convolutions carry what stands in the padding into an utterance's last frames, and batch
normalisation mixes utterances. With a few long streams in a batch that hardly matters; with short,
compressed ones a model trained in batches failed on single utterances. So here padding is zeroed
before each convolution, and layer normalisation takes the place of batch normalisation.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from entcomp.encoder.packed import length_mask
from entcomp.tasks.text.attention import RelativeAttention
from entcomp.tasks.text.config import TextTaskConfig
from entcomp.tasks.text.espnet_parts import ConformerEncoder


class Encoder(nn.Module):
    """``transformer`` is the Conformer without its convolutions and second feed-forward."""

    def __init__(self, config: TextTaskConfig) -> None:
        super().__init__()
        conformer = config.encoder.kind == "conformer"
        self.blocks = ConformerEncoder(
            input_size=config.dim,
            output_size=config.dim,
            attention_heads=config.encoder.heads,
            linear_units=config.encoder.feed_forward,
            num_blocks=config.encoder.layers,
            dropout_rate=config.dropout,
            positional_dropout_rate=config.dropout,
            input_layer=None,
            rel_pos_type="latest",
            macaron_style=conformer,
            use_cnn_module=conformer,
            cnn_module_kernel=config.encoder.kernel,
        )
        # Made for embeddings that are small at first; it would hide what the blocks add to ours.
        self.blocks.embed[0].xscale = 1.0
        for block in self.blocks.encoders:
            block.self_attn.__class__ = RelativeAttention  # other arithmetic, same parameters
        for block in self.blocks.encoders if conformer else ():
            block.conv_module.norm = _ChannelNorm(config.dim)
            block.conv_module.depthwise_conv.register_forward_pre_hook(self._zero_padding)

    def forward(self, x_BMD: Tensor, lengths_B: Tensor) -> Tensor:
        """(B, M, D) padded group vectors -> (B, M, D) states."""
        self._mask_B1M = length_mask(lengths_B)[:, None]
        states_BMD, _, _ = self.blocks(x_BMD, lengths_B)
        return states_BMD

    def _zero_padding(self, _: nn.Module, inputs: tuple[Any, ...]) -> tuple[Tensor]:
        (x_BDM,) = inputs
        return (x_BDM * self._mask_B1M,)


class NoEncoder(nn.Module):
    """Group vectors as they are, with sinusoidal positions: Whisper's encoder adds these as well.

    Without them the decoder would attend to a set of groups in no order.
    """

    def forward(self, x_BMD: Tensor, lengths_B: Tensor) -> Tensor:
        """(B, M, D) padded group vectors -> (B, M, D) states."""
        return x_BMD + sinusoids(*x_BMD.shape[1:]).to(x_BMD)


def build_encoder(config: TextTaskConfig) -> nn.Module:
    """The encoder that ``config.encoder.kind`` names."""
    return NoEncoder() if config.encoder.kind == "none" else Encoder(config)


def sinusoids(length: int, dim: int) -> Tensor:
    """Sines, then cosines, of positions at geometric frequencies: (length, dim), dim even."""
    frequencies = 10_000.0 ** -(torch.arange(dim // 2) / max(1, dim // 2 - 1))
    angles = torch.arange(length)[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class _ChannelNorm(nn.LayerNorm):
    """Layer normalisation of (B, D, M), over D."""

    def forward(self, x_BDM: Tensor) -> Tensor:
        return super().forward(x_BDM.transpose(1, 2)).transpose(1, 2)
