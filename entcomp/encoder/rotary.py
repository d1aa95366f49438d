"""Rotary position embedding (Su et al. 2021): channels turn in pairs, by an angle a position.

Shapes: T positions, E channels of a head.
"""

from __future__ import annotations

import torch
from torch import Tensor

BASE = 10_000.0


def frequencies(head_dim: int, device: torch.device | None = None) -> Tensor:
    """Radians a position by which channels e and e + E / 2 turn: (E / 2,) float32."""
    channels = torch.arange(0, head_dim, 2, device=device, dtype=torch.float32)
    return BASE ** (-channels / head_dim)


def rotations(positions_T: Tensor, head_dim: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines of the angles, (T, E / 2) each; channel e turns with e + E / 2."""
    angles = positions_T[:, None] * frequencies(head_dim, positions_T.device)
    return angles.cos(), angles.sin()


def rotate(x_TE: Tensor, cos_TE: Tensor, sin_TE: Tensor) -> Tensor:
    """Turn queries or keys (..., T, E) by their positions; the axes before are broadcast."""
    first, second = x_TE.chunk(2, dim=-1)
    turned = [first * cos_TE - second * sin_TE, second * cos_TE + first * sin_TE]
    return torch.cat(turned, dim=-1).type_as(x_TE)
