"""ESPnet's Transformer decoder, piece by piece, for several hypotheses of each utterance.

ESPnet's own step projects the encoder's states anew for every hypothesis and every piece, which is
most of its time. Here keys and values are made once. Shape suffixes as in `search`, d channels of
a head.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from entcomp.encoder.packed import length_mask
from entcomp.tasks.text.espnet_parts import TransformerDecoder


class DecoderSteps:
    """Keys and values, layer by layer: ``memory`` of the encoder's states, ``past`` of pieces."""

    def __init__(
        self, decoder: TransformerDecoder, states_BMD: Tensor, lengths_B: Tensor, hypotheses: int
    ) -> None:
        self.decoder = decoder
        self.mask_B11M = length_mask(lengths_B)[:, None, None]
        self.memory = [_keys_values(one.src_attn, states_BMD) for one in decoder.decoders]
        nothing_N0D = states_BMD.new_zeros(len(states_BMD) * hypotheses, 0, states_BMD.shape[2])
        self.past = [_keys_values(one.self_attn, nothing_N0D) for one in decoder.decoders]

    def __call__(self, pieces_NL: Tensor) -> Tensor:
        """(N, V) log-probabilities of the next piece; one piece is new since the last call."""
        x_ND = self.decoder.embed(pieces_NL)[:, -1]
        for index, layer in enumerate(self.decoder.decoders):
            x_ND = x_ND + self._attend_to_pieces(index, layer.norm1(x_ND))
            x_ND = x_ND + self._attend_to_states(index, layer.norm2(x_ND))
            x_ND = x_ND + layer.feed_forward(layer.norm3(x_ND))
        logits_NV = self.decoder.output_layer(self.decoder.after_norm(x_ND))
        return logits_NV.log_softmax(-1)

    def select(self, from_N: Tensor) -> None:
        """Let each hypothesis continue another one."""
        self.past = [(k[from_N], v[from_N]) for k, v in self.past]

    def keep(self, rows_B: Tensor, groups: int) -> None:
        """Keep some utterances, of at most ``groups``; call `select` as well."""
        self.mask_B11M = self.mask_B11M[rows_B, ..., :groups]
        self.memory = [(k[rows_B, :, :groups], v[rows_B, :, :groups]) for k, v in self.memory]

    def _attend_to_pieces(self, index: int, x_ND: Tensor) -> Tensor:
        attention = self.decoder.decoders[index].self_attn
        x_N1D = x_ND[:, None]
        new = _keys_values(attention, x_N1D)
        k, v = (torch.cat(pair, 2) for pair in zip(self.past[index], new, strict=True))
        self.past[index] = k, v
        z_NH1d = F.scaled_dot_product_attention(_heads(attention, "q", x_N1D), k, v)
        return attention.linear_out(z_NH1d.flatten(1))

    def _attend_to_states(self, index: int, x_ND: Tensor) -> Tensor:
        attention, (k, v) = self.decoder.decoders[index].src_attn, self.memory[index]
        q_BHWd = _heads(attention, "q", x_ND.view(len(k), -1, x_ND.shape[1]))
        z_BHWd = F.scaled_dot_product_attention(q_BHWd, k, v, self.mask_B11M)
        return attention.linear_out(z_BHWd.transpose(1, 2).flatten(2).flatten(0, 1))


def _keys_values(attention: nn.Module, x_BMD: Tensor) -> tuple[Tensor, Tensor]:
    """Keys and values (B, H, M, d)."""
    return _heads(attention, "k", x_BMD), _heads(attention, "v", x_BMD)


def _heads(attention: nn.Module, name: str, x_BMD: Tensor) -> Tensor:
    """Queries, keys or values (B, H, M, d): ``name`` is their first letter."""
    projected_BMD = getattr(attention, f"linear_{name}")(x_BMD)
    return projected_BMD.unflatten(-1, (attention.h, attention.d_k)).transpose(1, 2)
