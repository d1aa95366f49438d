"""What the paper's thetas and the other units mean."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entcomp.errors import EntcompError
from entcomp.segmentation.theta import M1, M2, M3, paper_rate, to_nats


def rate_of(theta_g: float | None, theta_r: float | None) -> float:
    """By the criterion that takes these thetas."""
    if theta_r is None:
        return paper_rate(M1, {"theta_g": theta_g})
    return paper_rate(M2 if theta_g is None else M3, {"theta_g": theta_g, "theta_r": theta_r})


@pytest.mark.parametrize(
    ("theta_g", "theta_r", "rate"),
    [
        (7.8, None, 24),
        (8.5, None, 15),
        (9.7, None, 7),
        (0.78, None, 24),
        (0.85, None, 15),
        (0.97, None, 7),
        (7.5, None, 30),
        (1.05, None, 6),
        (None, 0.65, 24),
        (None, 0.69, 15),
        (None, 0.71, 7),
        (0.75, 0.62, 24),
        (0.82, 0.65, 15),
        (0.86, 0.68, 7),
        (8.6, 0.68, 7),
        (0.75, 0.68, math.sqrt(24 * 7)),
        (9.1, None, math.sqrt(15 * 7)),  # log-linear half way
    ],
)
def test_published_points(theta_g: float | None, theta_r: float | None, rate: float) -> None:
    assert rate_of(theta_g, theta_r) == pytest.approx(rate, rel=1e-9)


@given(st.floats(7.5, 10.5), st.floats(7.5, 10.5))
def test_a_higher_theta_means_a_lower_rate(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert 6 <= rate_of(high, None) <= rate_of(low, None) <= 30


@pytest.mark.parametrize(
    ("theta_g", "theta_r", "option"),
    [
        (7.4, None, "--theta-g 7.4"),
        (10.6, None, "--theta-g 10.6"),
        (3.2, None, "--theta-g 3.2"),
        (None, 0.72, "--theta-r 0.72"),
        (9.7, 0.65, "--theta-g 9.7"),
        (8.2, 0.7, "--theta-r 0.7"),
    ],
)
def test_out_of_range_names_the_range(
    theta_g: float | None, theta_r: float | None, option: str
) -> None:
    with pytest.raises(EntcompError, match=r"run from .* Hz\) to .* Hz\)") as caught:
        rate_of(theta_g, theta_r)
    assert str(caught.value).startswith(option)


def test_units_of_entropy() -> None:
    assert to_nats(2.0, "nats", None, "--theta-g") == 2.0
    assert to_nats(3.0, "bits", 500, "--theta-g") == pytest.approx(math.log(8))
    assert to_nats(0.5, "normalized", 500, "--theta-g") == pytest.approx(math.log(500) / 2)


@pytest.mark.parametrize(("theta", "unit"), [(6.3, "nats"), (9.0, "bits"), (1.0, "normalized")])
def test_unreachable_threshold(theta: float, unit: str) -> None:
    with pytest.raises(EntcompError, match=r"no entropy over 500 units exceeds ln 500 = 6\.215"):
        to_nats(theta, unit, 500, "--theta-g")


def test_normalized_needs_the_number_of_clusters() -> None:
    with pytest.raises(EntcompError, match="needs the number of clusters"):
        to_nats(0.5, "normalized", None, "--theta-g")
