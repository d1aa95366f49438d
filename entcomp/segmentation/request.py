"""What a user asked `segment` for: checked, and named by a tag."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from entcomp.artifacts.segmentations import SegmentationInfo
from entcomp.artifacts.units import LONGEST
from entcomp.errors import EntcompError
from entcomp.segmentation import BOUNDARIES, DEFAULT_CRITERION, MATCHES
from entcomp.segmentation.criteria import criterion_names, find_criterion, implied_criterion
from entcomp.segmentation.criterion import Criterion, EntropyCriterion, ThresholdCriterion, spell
from entcomp.segmentation.theta import UNITS

STRENGTHS = ("theta_g", "theta_r", "target_rate", "window")  # in the order of tags
# Fields of a rule that come from the request, not from the calibration.
KEPT = ("peaks", "seed", "min_length", "max_length", "boundary", "match_rate")


@dataclass(frozen=True)
class Request:
    """The options of `segment` as given; `Request.check` before use.

    ``target_rate`` is in groups a second, ``window`` and the lengths are in frames;
    ``boundary`` and ``match_rate`` are those of `Rule`; ``options`` are ``--option NAME=VALUE``,
    texts.
    """

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
    boundary: str = "first"
    match_rate: str | None = None
    options: Mapping[str, str] = field(default_factory=dict, hash=False)

    @classmethod
    def make(
        cls,
        criterion: str | None = None,
        default_rate: float | None = None,
        default: Request | None = None,
        **options: Any,
    ) -> Request:
        """A checked request; without a criterion, that which the options imply.

        ``default_rate`` (Hz) counts where nothing says how much to compress, and where the
        criterion takes a rate; ``default`` where nothing says which groups: it is made as the
        other options say. Raises EntcompError as `check` does.
        """
        request = cls(criterion or DEFAULT_CRITERION, **options)
        if default and criterion is None and not (request.strength or request.peaks):
            request = default._changed(request)
            request.check()
            return request
        if criterion is None:
            implied = implied_criterion(set(request.strength) - {"target_rate"})
            request = replace(request, criterion=implied or DEFAULT_CRITERION)
        if not request.strength and ("target_rate",) in request.kind.strengths:
            request = replace(request, target_rate=default_rate)
        request.check()
        return request

    @classmethod
    def of(cls, info: SegmentationInfo) -> Request:
        """What a segmentation was asked for, to be found anew, on other recordings.

        Their speakers are not known: a rate that was matched by speaker is so by utterance.
        """
        kept = {name: info.rule[name] for name in KEPT if info.rule.get(name) is not None}
        if kept.get("match_rate") == "speaker":
            kept["match_rate"] = "utterance"
        own = find_criterion(info.criterion).options
        options = {k: str(v) for k, v in info.rule.get("options", {}).items() if k in own}
        return cls(info.criterion, **info.given, **kept, options=options)

    def _changed(self, other: Request) -> Request:
        """This one, with what in the other is not as in a plain request."""
        plain = vars(Request(other.criterion))
        return replace(self, **{k: v for k, v in vars(other).items() if v != plain[k]})

    @property
    def kind(self) -> Criterion:
        """Raises EntcompError for an unknown criterion."""
        return find_criterion(self.criterion)

    @property
    def strength(self) -> tuple[str, ...]:
        """Names of the options given that say how much to compress."""
        return tuple(name for name in STRENGTHS if getattr(self, name) is not None)

    @property
    def given(self) -> dict[str, Any]:
        """The options that say how much to compress, and their unit."""
        given = {name: getattr(self, name) for name in self.strength}
        if "theta_g" in given or "theta_r" in given:
            given["theta_unit"] = self.theta_unit
        return given

    @property
    def is_implied(self) -> bool:
        """Would these options mean this criterion without its name?"""
        return implied_criterion(self.strength) == self.criterion

    def own_options(self) -> dict[str, str | int | float]:
        """The criterion's own options, with defaults. Raises EntcompError for others."""
        values = dict(self.kind.options)
        for name, text in self.options.items():
            if name not in values:
                known = ", ".join(values) or "none"
                raise EntcompError(
                    f"--option {name}={text}: --criterion {self.criterion} has: {known}"
                )
            try:
                values[name] = type(values[name])(text)
            except ValueError:
                kind = type(values[name]).__name__
                raise EntcompError(f"--option {name}={text}: must be of type {kind}") from None
        return values

    def check(self) -> None:
        """Raises EntcompError for options that do not go together or have no meaning."""
        kind = self.kind
        if self.theta_unit not in UNITS:
            raise EntcompError(f"--theta-unit {self.theta_unit}: one of {', '.join(UNITS)}")
        if self.strength not in kind.strengths:
            raise EntcompError(
                f"--criterion {self.criterion} needs {_either(kind.strengths)}, "
                f"got {spell(self.strength) or 'none'}"
            )
        if isinstance(kind, EntropyCriterion) and "theta_unit" in self.given:
            self._check_theta_unit(kind)
        if self.peaks and "peaks" not in kind.takes:
            names = [name for name in criterion_names() if "peaks" in find_criterion(name).takes]
            raise EntcompError(f"--peaks goes with --criterion {' or '.join(names)}")
        if self.boundary not in BOUNDARIES:
            raise EntcompError(f"--boundary {self.boundary}: one of {', '.join(BOUNDARIES)}")
        if self.boundary != "first" and not isinstance(kind, ThresholdCriterion):
            raise EntcompError(
                f"--boundary {self.boundary}: no unit fires in --criterion {self.criterion}; "
                "leave it out, or take a criterion on entropies"
            )
        self._check_match_rate(kind)
        self.own_options()
        self._check_numbers()

    def _check_match_rate(self, kind: Criterion) -> None:
        if self.match_rate is None:
            return
        if self.match_rate not in MATCHES:
            raise EntcompError(f"--match-rate {self.match_rate}: one of {', '.join(MATCHES)}")
        if not isinstance(kind, ThresholdCriterion):
            raise EntcompError(
                f"--match-rate {self.match_rate}: --criterion {self.criterion} has no threshold "
                "to resolve; leave it out"
            )
        if self.target_rate is None and self.theta_unit != "paper":
            raise EntcompError(
                f"--match-rate {self.match_rate}: {spell(self.strength)} in {self.theta_unit} is "
                "no rate; give --target-rate, or a theta of the paper"
            )

    def _check_theta_unit(self, kind: EntropyCriterion) -> None:
        if self.theta_unit == "paper" and not kind.paper:
            raise EntcompError(
                f"--theta-unit paper: the paper has no thetas for --criterion {self.criterion}; "
                f"give --target-rate, or --theta-unit {'|'.join(UNITS[1:])}"
            )
        units = {one.unit for one in kind.thresholds} - {"nats"}
        if units and self.theta_unit not in ("paper", "quantile"):
            raise EntcompError(
                f"--theta-unit {self.theta_unit}: --criterion {self.criterion} counts in "
                f"{', '.join(sorted(units))}; give --target-rate, or --theta-unit "
                f"{'paper or ' if kind.paper else ''}quantile"
            )

    def _check_numbers(self) -> None:
        for name in ("theta_g", "theta_r"):
            value = getattr(self, name)
            if value is not None and not math.isfinite(value):
                raise EntcompError(f"{spell((name,))} {value}: not a number")
        for name in ("target_rate", "window", "min_length", "max_length"):
            value = getattr(self, name)
            if value is not None and not (value > 0 and math.isfinite(value)):
                raise EntcompError(f"{spell((name,))} {value:g}: must be positive")
        for name in ("window", "min_length", "max_length"):
            if (getattr(self, name) or 0) > LONGEST:
                raise EntcompError(f"{spell((name,))} {getattr(self, name)}: at most {LONGEST}")
        if self.max_length is not None and self.max_length < self.min_length:
            raise EntcompError(
                f"--max-length {self.max_length} is below --min-length {self.min_length}"
            )

    @property
    def tag(self) -> str:
        """A name for the groups that tells apart whatever may differ."""
        kind = self.kind
        parts = [kind.tag(self)]
        parts += ["peaks"] if self.peaks else []
        parts += [f"seed{self.seed}"] if "seed" in kind.takes and self.seed else []
        for name, value in self.own_options().items():
            if value != kind.options[name] and name not in kind.untagged:
                parts.append(f"{name}{value}".replace("/", "-"))
        parts += [f"min{self.min_length}"] if self.min_length > 1 else []
        parts += [f"max{self.max_length}"] if self.max_length else []
        parts += [self.boundary] if self.boundary != "first" else []
        parts += [f"match{self.match_rate}"] if self.match_rate else []
        return "_".join(parts)


def _either(choices: tuple[tuple[str, ...], ...]) -> str:
    return " or ".join(spell(names) or "no threshold or rate" for names in choices)
