"""Conditional flow matching along straight paths (Lipman et al. 2023), and its Euler sampler.

Noise ``x0 ~ N(0, I)`` moves to data ``x1``: ``x_t = (1 - (1 - sigma_min) t) x0 + t x1``. The field
that moves it is learnt by regression on ``x1 - (1 - sigma_min) x0``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

SIGMA_MIN = 1e-4
# field(x_t of shape (batch, ...), t of shape (batch,)) -> dx/dt, of the shape of x_t
Field = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class PathPoint:
    """``x_t`` at times ``t`` (batch,), and the ``velocity`` that a field is to have there."""

    x_t: Tensor
    t: Tensor
    velocity: Tensor


def draw_point(x1: Tensor, generator: torch.Generator | None = None) -> PathPoint:
    """A random noise and a time for each data point of (batch, ...).

    Times are spread evenly over a batch and, as in CosyVoice, densest near the noise: only there
    must the condition say what the data are, which later can be seen.
    """
    x0 = torch.randn(x1.shape, generator=generator, device=x1.device)
    within = torch.rand(len(x1), generator=generator, device=x1.device)
    place = (torch.arange(len(x1), device=x1.device) + within) / len(x1)
    t = 1 - torch.cos(place * torch.pi / 2)
    at = t.view(-1, *[1] * (x1.dim() - 1))
    x_t = (1 - (1 - SIGMA_MIN) * at) * x0 + at * x1
    return PathPoint(x_t, t, x1 - (1 - SIGMA_MIN) * x0)


def matching_loss(predicted: Tensor, velocity: Tensor, mask: Tensor) -> Tensor:
    """Mean squared error of fields (batch, frames, d) over the (batch, frames) of ``mask``."""
    error = (predicted.float() - velocity).square().mean(dim=2)
    return (error * mask).sum() / mask.sum().clamp(min=1)


def euler(field: Field, x0: Tensor, steps: int) -> Tensor:
    """Follow ``field`` from noise at t = 0 to data at t = 1 in equal steps."""
    x = x0
    for step in range(steps):
        t = torch.full((len(x),), step / steps, device=x.device)
        x = x + field(x, t) / steps
    return x


def guided(conditional: Tensor, others: Sequence[tuple[float, Tensor]]) -> Tensor:
    """Classifier-free guidance: away from each field that knows less, by a multiple of the way."""
    steps = (guidance * (conditional - other) for guidance, other in others)
    return conditional + sum(steps, torch.zeros_like(conditional))
