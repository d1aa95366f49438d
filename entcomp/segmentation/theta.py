"""The scales on which a threshold may be given, and what the paper's thetas mean."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from entcomp.errors import EntcompError

Published = Mapping[str, tuple[tuple[float, float], ...]]  # (theta, Hz) by option

UNITS = ("paper", "nats", "bits", "normalized", "quantile")

# Published pairs of theta and token rate in Hz. Appendix B and tables 1, 2 and 13 give 24, 15 and
# 7 Hz; the ends of M1's range are those of appendix B (theta) and C.5 (rate).
M1 = {"theta_g": ((7.5, 30.0), (7.8, 24.0), (8.5, 15.0), (9.7, 7.0), (10.5, 6.0))}
M2 = {"theta_r": ((0.65, 24.0), (0.69, 15.0), (0.71, 7.0))}
M3 = {
    "theta_g": ((7.5, 24.0), (8.2, 15.0), (8.6, 7.0)),
    "theta_r": ((0.62, 24.0), (0.65, 15.0), (0.68, 7.0)),
}


def paper_rate(published: Published, thetas: Mapping[str, float]) -> float:
    """Token rate in Hz that the paper reports for its thetas, by option; `M1`, `M2` or `M3`.

    Their unit cannot be nats, bits or a normalised entropy, so a theta of the paper stands for a
    rate: log-linear between the published points, hence monotone. ``theta_g`` may be spelled 9.7
    as in appendix B or 0.97 as in table 13. Of two thetas (M3) the rates' geometric mean counts.
    Raises EntcompError outside the published range.
    """
    rates = [_rate(option, thetas[option], points) for option, points in published.items()]
    return round(math.prod(rates) ** (1 / len(rates)), 9)


def to_nats(theta: float, unit: str, num_clusters: int | None, option: str) -> float:
    """A threshold in nats, bits or shares of ``ln K`` (normalized), in nats.

    Raises EntcompError for one that no distribution over K units can exceed, and for a normalized
    one where K is unknown.
    """
    if unit == "normalized" and num_clusters is None:
        raise EntcompError(
            f"{option} {theta:g}: --theta-unit normalized needs the number of clusters, from "
            "units.json or calibration.json; give --theta-unit nats"
        )
    most = math.log(num_clusters) if num_clusters else math.inf
    nats = theta * {"nats": 1.0, "bits": math.log(2), "normalized": most}[unit]
    if nats >= most:
        raise EntcompError(
            f"{option} {theta:g} ({unit}) is {nats:.3f} nats, but no entropy over {num_clusters} "
            f"units exceeds ln {num_clusters} = {most:.3f}; lower it or give --target-rate"
        )
    return nats


def _rate(option: str, theta: float, points: tuple[tuple[float, float], ...]) -> float:
    if option == "theta_g" and theta < 2:  # table 13 writes 0.97 for appendix B's 9.7
        theta *= 10
    thetas, rates = zip(*points, strict=True)
    slack = 1e-9  # 10 * 0.86 is above 8.6
    if not thetas[0] - slack <= theta <= thetas[-1] + slack:
        raise EntcompError(
            f"--{option.replace('_', '-')} {theta:g}: the paper's thetas run from {thetas[0]:g} "
            f"({rates[0]:g} Hz) to {thetas[-1]:g} ({rates[-1]:g} Hz) here; give --target-rate, or "
            f"--theta-unit {'|'.join(UNITS[1:])}"
        )
    return round(float(np.exp(np.interp(theta, thetas, np.log(rates)))), 9)
