"""Loss and sampler against the field that is known where the data are Gaussian."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from entcomp.tasks.vc.flow import SIGMA_MIN, draw_point, euler, guided, matching_loss

MEAN, STD = 3.0, 0.5


def gaussian_field(x: Tensor, t: Tensor) -> Tensor:
    """E[velocity | x_t = x] for data N(MEAN, STD^2), by the formula of conditional Gaussians."""
    t = t.view(-1, 1, 1)
    slope = 1 - SIGMA_MIN
    noise = 1 - slope * t
    covariance = t * STD**2 - slope * noise
    return MEAN + covariance / (noise**2 + t**2 * STD**2) * (x - t * MEAN)


def least_loss() -> float:
    """Mean over t of Var[velocity | x_t], which no field can go below."""
    place = torch.linspace(0, 1, 10_001, dtype=torch.float64)
    t = 1 - torch.cos(place * math.pi / 2)
    slope = 1 - SIGMA_MIN
    noise = 1 - slope * t
    covariance = t * STD**2 - slope * noise
    variance = STD**2 + slope**2 - covariance**2 / (noise**2 + t**2 * STD**2)
    return torch.trapezoid(variance, place).item()


def test_times_are_even_over_a_batch_and_dense_near_the_noise() -> None:
    t = draw_point(torch.zeros(9, 2, 2), torch.Generator().manual_seed(0)).t
    places = torch.acos(1 - t) * 2 / math.pi
    assert torch.equal((places * 9).floor(), torch.arange(9.0))
    assert (t < 0.5).sum() == 6  # cos(60 degrees) = 0.5


def loss_of_known_field(offset: float = 0.0) -> float:
    generator = torch.Generator().manual_seed(0)
    data = MEAN + STD * torch.randn(4000, 5, 4, generator=generator)
    point = draw_point(data, generator)
    predicted = gaussian_field(point.x_t, point.t) + offset
    return matching_loss(predicted, point.velocity, torch.ones(4000, 5)).item()


def test_the_known_field_reaches_the_least_loss() -> None:
    assert loss_of_known_field() == pytest.approx(least_loss(), rel=0.02)


def test_another_field_costs_the_square_of_its_error() -> None:
    more = loss_of_known_field(offset=0.3) - loss_of_known_field()
    assert more == pytest.approx(0.09, abs=0.01)


def test_regression_finds_the_known_field() -> None:
    """At one time the loss is a linear regression; its slope is the closed form's."""
    generator = torch.Generator().manual_seed(1)
    data = MEAN + STD * torch.randn(200_000, 1, 1, generator=generator)
    point = draw_point(data, generator)
    near = (point.t - 0.6).abs() < 0.02
    x, velocity = point.x_t[near].flatten(), point.velocity[near].flatten()
    low, high = gaussian_field(torch.tensor([1.0, 2.0]).view(2, 1, 1), torch.full((2,), 0.6))
    slope = ((x - x.mean()) * (velocity - velocity.mean())).mean() / x.var()
    assert slope.item() == pytest.approx((high - low).item(), abs=0.05)


@pytest.mark.parametrize(("steps", "tolerance"), [(25, 0.05), (200, 0.01)])
def test_the_sampler_makes_the_data_of_noise(steps: int, tolerance: float) -> None:
    noise = torch.randn(20_000, 1, 1, generator=torch.Generator().manual_seed(2))
    data = euler(gaussian_field, noise, steps)
    expected = MEAN + STD * noise  # the flow between Gaussians is affine
    assert (data - expected).abs().mean().item() < tolerance
    assert data.mean().item() == pytest.approx(MEAN, abs=0.02)


def test_one_euler_step_is_the_initial_velocity() -> None:
    data = euler(lambda x, t: 2 * x + t.view(-1, 1, 1), torch.ones(1, 1, 1), 1)
    assert data.item() == pytest.approx(3.0)


def test_the_path_begins_at_noise_and_ends_at_data() -> None:
    point = draw_point(torch.full((50_000, 1, 1), 7.0), torch.Generator().manual_seed(0))
    noise = 7.0 - point.velocity
    early, late = point.t < 0.01, point.t > 0.99
    assert (point.x_t[early] - noise[early]).abs().max() < 0.2
    assert (point.x_t[late] - 7.0).abs().max() < 0.2
    assert math.isclose(noise.std().item(), 1.0, abs_tol=0.02)


def test_masked_frames_do_not_count() -> None:
    predicted = torch.tensor([[[1.0, 1.0], [100.0, 100.0], [3.0, 1.0]]])
    mask = torch.tensor([[True, False, True]])
    loss = matching_loss(predicted, torch.zeros(1, 3, 2), mask)
    assert loss.item() == pytest.approx((1 + 5) / 2)


def test_guidance_goes_beyond_the_conditional_field() -> None:
    conditional, free = torch.tensor([2.0]), torch.tensor([1.0])
    assert guided(conditional, [(0.7, free)]).item() == pytest.approx(2.7)
    assert guided(conditional, [(0.7, free), (0.5, 2 * free)]).item() == pytest.approx(2.7)
    assert guided(conditional, []).item() == 2.0
