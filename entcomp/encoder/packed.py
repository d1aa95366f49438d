"""Packed batches: the tokens of all utterances in one row, and how many belong to each group.

Shape suffixes: N tokens and G groups of the whole batch, B utterances, T tokens and M groups of
the longest utterance, D channels, H heads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from entcomp.artifacts.runs import lengths_of, mask_of, run_mask


@dataclass(frozen=True)
class GroupedTokens:
    """One utterance: tokens, the frames that each stands for, and how many make up each group.

    int32 vectors of shape (N,), (N,) and (G,); ``group_sizes`` counts tokens and sums to N.
    """

    tokens: np.ndarray
    durations: np.ndarray
    group_sizes: np.ndarray


def group_tokens(units: np.ndarray, groups: np.ndarray, merge_runs: bool) -> GroupedTokens:
    """Units (frames,) and group lengths in frames (G,) to grouped tokens.

    ``merge_runs`` makes one token of equal units that follow each other within a group; its
    duration keeps their number. Otherwise each frame is a token.
    """
    if not merge_runs:
        return GroupedTokens(units, np.ones_like(units), groups)
    group_mask = mask_of(groups)
    token_mask = group_mask | run_mask(units)
    sizes = lengths_of(group_mask[token_mask])
    return GroupedTokens(units[token_mask], lengths_of(token_mask), sizes)


@dataclass(frozen=True)
class PackedTokens:
    """A batch of `GroupedTokens`, without padding; all int64.

    ``tokens_N``, ``durations_N`` (frames), ``group_sizes_G`` (tokens), and for each utterance
    ``num_tokens_B`` and ``num_groups_B``.
    """

    tokens_N: Tensor
    durations_N: Tensor
    group_sizes_G: Tensor
    num_tokens_B: Tensor
    num_groups_B: Tensor

    @classmethod
    def pack(cls, utterances: Sequence[GroupedTokens]) -> PackedTokens:
        """Join utterances; each must have a token at least."""

        def join(vectors: list[np.ndarray]) -> Tensor:
            return torch.from_numpy(np.concatenate(vectors).astype(np.int64))

        return cls(
            tokens_N=join([one.tokens for one in utterances]),
            durations_N=join([one.durations for one in utterances]),
            group_sizes_G=join([one.group_sizes for one in utterances]),
            num_tokens_B=torch.tensor([len(one.tokens) for one in utterances]),
            num_groups_B=torch.tensor([len(one.group_sizes) for one in utterances]),
        )

    def regroup(self, starts_N: Tensor, merge_runs: bool) -> PackedTokens:
        """Units, each a group of its own, in the groups that begin where ``starts_N`` (N,) is true.

        The first unit of each utterance has to be among them. ``merge_runs``: see `group_tokens`.
        """
        kept_N = torch.ones_like(starts_N)
        if merge_runs:
            kept_N[1:] = starts_N[1:] | (self.tokens_N[1:] != self.tokens_N[:-1])
        place_N = kept_N.nonzero()[:, 0]
        end = place_N.new_tensor([len(kept_N)])
        utterance_N = owners(self.num_tokens_B, len(kept_N))
        group_N = starts_N.cumsum(0) - 1
        utterances = len(self.num_tokens_B)
        return PackedTokens(
            tokens_N=self.tokens_N[place_N],
            durations_N=torch.diff(place_N, append=end),
            group_sizes_G=torch.bincount(group_N[place_N]),
            num_tokens_B=torch.bincount(utterance_N[place_N], minlength=utterances),
            num_groups_B=torch.bincount(utterance_N[starts_N], minlength=utterances),
        )

    def to(self, device: torch.device | str) -> PackedTokens:
        """The batch on another device."""
        return PackedTokens(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))


def owners(sizes_G: Tensor, total: int) -> Tensor:
    """The group of each token: (G,) sizes that sum to ``total`` -> (N,) indices, ascending."""
    groups_G = torch.arange(len(sizes_G), device=sizes_G.device)
    return groups_G.repeat_interleave(sizes_G, output_size=total)


def pad(x_ND: Tensor, lengths_B: Tensor) -> Tensor:
    """Packed rows to padded ones: (N, D) -> (B, T, D), zeros after each utterance's end."""
    mask_BT = length_mask(lengths_B)
    padded_BTD = x_ND.new_zeros(*mask_BT.shape, x_ND.shape[-1])
    return padded_BTD.index_put((mask_BT,), x_ND)


def unpad(x_BTD: Tensor, lengths_B: Tensor) -> Tensor:
    """The inverse of `pad`: (B, T, D) -> (N, D)."""
    return x_BTD[length_mask(lengths_B)]


def length_mask(lengths_B: Tensor) -> Tensor:
    """(B, T) booleans, true before each utterance's end."""
    positions_T = torch.arange(int(lengths_B.max()), device=lengths_B.device)
    return positions_T < lengths_B[:, None]
