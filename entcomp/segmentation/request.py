"""What a user asked `segment` for: checked, and named by a tag."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from entcomp.errors import EntcompError
from entcomp.segmentation.rule import BASELINES, THRESHOLDS
from entcomp.segmentation.theta import UNITS

# The options that say how much a criterion compresses; one of the sets has to be given.
STRENGTH: dict[str, tuple[tuple[str, ...], ...]] = {
    "global": (("theta_g",), ("target_rate",)),
    "relative": (("theta_r",), ("target_rate",)),
    "combined": (("theta_g", "theta_r"), ("target_rate",)),
    "peak": (("theta_g",), ("target_rate",)),
    "bidirectional": (("theta_g",), ("target_rate",)),
    "dedup": ((),),
    "fixed": (("window",),),
    "uniform": (("target_rate",),),
    "random": (("target_rate",),),
}


@dataclass(frozen=True)
class Request:
    """The options of `segment` as given; `Request.check` before use."""

    criterion: str
    theta_g: float | None = None
    theta_r: float | None = None
    theta_unit: str = "paper"
    target_rate: float | None = None
    window: int | None = None
    peaks: bool = False
    min_length: int = 1
    max_length: int | None = None
    seed: int = 0

    @property
    def on_entropies(self) -> bool:
        return self.criterion in THRESHOLDS

    @property
    def given(self) -> dict[str, Any]:
        """The options that say how much to compress, and their unit."""
        names = ("theta_g", "theta_r", "target_rate", "window")
        given = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        if "theta_g" in given or "theta_r" in given:
            given["theta_unit"] = self.theta_unit
        return given

    def check(self) -> None:
        """Raises EntcompError for options that do not go together or have no meaning."""
        known = (*THRESHOLDS, *BASELINES)
        if self.criterion not in known:
            raise EntcompError(f"--criterion {self.criterion}: one of {', '.join(known)}")
        if self.theta_unit not in UNITS:
            raise EntcompError(f"--theta-unit {self.theta_unit}: one of {', '.join(UNITS)}")
        strength = tuple(name for name in self.given if name != "theta_unit")
        if strength not in STRENGTH[self.criterion]:
            raise EntcompError(
                f"--criterion {self.criterion} needs {_either(STRENGTH[self.criterion])}, "
                f"got {_options(strength) or 'none'}"
            )
        if self.criterion == "bidirectional" and self.given.get("theta_unit", "paper") not in (
            "paper",
            "quantile",
        ):
            raise EntcompError(
                f"--theta-unit {self.theta_unit}: a bidirectional score is in standard deviations;"
                " give --target-rate, or --theta-unit paper or quantile"
            )
        if self.peaks and self.criterion != "bidirectional":
            raise EntcompError("--peaks goes with --criterion bidirectional; see also peak")
        self._check_numbers()

    def _check_numbers(self) -> None:
        for name in ("theta_g", "theta_r"):
            value = getattr(self, name)
            if value is not None and not math.isfinite(value):
                raise EntcompError(f"{_options((name,))} {value}: not a number")
        for name in ("target_rate", "window", "min_length", "max_length"):
            value = getattr(self, name)
            if value is not None and not (value > 0 and math.isfinite(value)):
                raise EntcompError(f"{_options((name,))} {value:g}: has to be positive")
        if self.max_length is not None and self.max_length < self.min_length:
            raise EntcompError(
                f"--max-length {self.max_length} is below --min-length {self.min_length}"
            )

    @property
    def tag(self) -> str:
        """A name for the groups that tells apart whatever may differ."""
        parts = [self._strength_tag()]
        parts += ["peaks"] if self.peaks else []
        parts += [f"seed{self.seed}"] if self.criterion == "random" and self.seed else []
        parts += [f"min{self.min_length}"] if self.min_length > 1 else []
        parts += [f"max{self.max_length}"] if self.max_length else []
        return "_".join(parts)

    def _strength_tag(self) -> str:
        if self.criterion == "dedup":
            return "dedup"
        if self.criterion == "fixed":
            return f"fixed{self.window}"
        if self.criterion in ("uniform", "random"):
            return f"{self.criterion}{self.target_rate:g}"
        if self.target_rate is not None:
            return f"rate{self.target_rate:g}_{self.criterion}"
        unit = "" if self.theta_unit == "paper" else self.theta_unit
        names = [name for name in ("theta_g", "theta_r") if name in self.given]
        tags = [f"{name}{self.given[name]:g}{unit}" for name in names]
        tags += [self.criterion] if self.criterion in ("peak", "bidirectional") else []
        return "_".join(tags)


def default_criterion(theta_g: float | None, theta_r: float | None, window: int | None) -> str:
    """The criterion that the given options imply."""
    if window is not None:
        return "fixed"
    if theta_r is None:
        return "global"
    return "relative" if theta_g is None else "combined"


def _options(names: tuple[str, ...]) -> str:
    return " and ".join("--" + name.replace("_", "-") for name in names)


def _either(choices: tuple[tuple[str, ...], ...]) -> str:
    return " or ".join(_options(names) or "no threshold or rate" for names in choices)
