"""Sequences laid end to end, and attention that keeps them apart.

Shape suffixes: T tokens of all sequences, B sequences, S slots of padded blocks, H heads,
E channels of a head.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention.varlen import varlen_attn

# Of its longest sequence, what a sequence needs in length to share a padded block.
BLOCK_FILL = 0.75


@dataclass
class Packed:
    """A batch of sequences without padding.

    ``inputs_T`` (int64; K stands for the beginning), ``targets_T`` (int64), ``positions_T``
    (int64, from 0 in each sequence), ``offsets_B`` (int32, B + 1 of them: where sequences begin,
    and T), ``longest`` (tokens; rounded up to a power of two, so that compiled code meets few
    values). ``gather_S`` and ``scatter_T`` lay the tokens into padded
    ``blocks`` and back.
    """

    inputs_T: Tensor
    targets_T: Tensor
    positions_T: Tensor
    offsets_B: Tensor
    longest: int
    gather_S: Tensor
    scatter_T: Tensor
    blocks: list[tuple[int, int]]  # (sequences, tokens of the longest) of each block

    @classmethod
    def pack(cls, inputs: Sequence[np.ndarray], targets: Sequence[np.ndarray]) -> Packed:
        """Join sequences, each of which has a token at least."""
        lengths = np.array([len(one) for one in inputs])
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        positions = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)
        gather, scatter, blocks = _padded_blocks(lengths, offsets)
        return cls(
            inputs_T=torch.from_numpy(np.concatenate(inputs).astype(np.int64)),
            targets_T=torch.from_numpy(np.concatenate(targets).astype(np.int64)),
            positions_T=torch.from_numpy(positions),
            offsets_B=torch.from_numpy(offsets.astype(np.int32)),
            longest=1 << (int(lengths.max()) - 1).bit_length(),
            gather_S=torch.from_numpy(gather),
            scatter_T=torch.from_numpy(scatter),
            blocks=blocks,
        )

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Packed:
        """The batch on another device."""
        return self._map(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Packed:
        """The batch in page-locked memory, from which copies to a GPU overlap with its work."""
        return self._map(lambda tensor: tensor.pin_memory())

    def _map(self, function: Callable[[Tensor], Tensor]) -> Packed:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        tensors: dict[str, Any] = {
            name: function(v) for name, v in values.items() if isinstance(v, Tensor)
        }
        return replace(self, **tensors)

    def attend(self, q_THE: Tensor, k_THE: Tensor, v_THE: Tensor) -> Tensor:
        """Causal attention within each sequence; (T, H, E) each.

        On a GPU in bfloat16 (or float16) without padding; otherwise in blocks of sequences of like
        length, each padded to its longest. What comes after a sequence's end is never seen.
        """
        if q_THE.is_cuda and q_THE.dtype in (torch.bfloat16, torch.float16):
            offsets, longest = self.offsets_B, self.longest
            mixed_THE = varlen_attn(
                q_THE, k_THE, v_THE, offsets, offsets, longest, longest, window_size=(-1, 0)
            )
            assert isinstance(mixed_THE, Tensor)  # no log-sum-exp was asked for
            return mixed_THE
        heads, channels = q_THE.shape[1:]
        qkv_S = torch.cat([q_THE, k_THE, v_THE], dim=1).index_select(0, self.gather_S)
        outputs = []
        for (sequences, length), block in zip(
            self.blocks, qkv_S.split([b * length for b, length in self.blocks]), strict=True
        ):
            q, k, v = block.view(sequences, length, 3, heads, channels).permute(2, 0, 3, 1, 4)
            mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            outputs.append(mixed.transpose(1, 2).reshape(-1, heads, channels))
        return torch.cat(outputs).index_select(0, self.scatter_T)


def _padded_blocks(
    lengths: np.ndarray, offsets: np.ndarray
) -> tuple[np.ndarray, np.ndarray, list[tuple[int, int]]]:
    """Token of each slot (S,), slot of each token (T,), and the shapes of the blocks."""
    order = np.argsort(-lengths, kind="stable")
    gather: list[np.ndarray] = []
    scatter = np.empty(offsets[-1], np.int64)
    blocks: list[tuple[int, int]] = []
    slots = begin = 0
    while begin < len(order):
        longest = int(lengths[order[begin]])
        end = begin + int(np.count_nonzero(lengths[order[begin:]] >= BLOCK_FILL * longest))
        members = order[begin:end]
        column = np.arange(longest)
        real = column < lengths[members, None]
        # Padded slots repeat the sequence's last token.
        tokens = offsets[members, None] + np.minimum(column, lengths[members, None] - 1)
        scatter[tokens[real]] = slots + np.flatnonzero(real)
        gather.append(tokens.ravel())
        blocks.append((len(members), longest))
        slots += tokens.size
        begin = end
    return np.concatenate(gather), scatter, blocks
