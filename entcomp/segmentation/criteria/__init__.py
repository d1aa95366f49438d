"""Criteria and baselines, a file each; README.md says how to add one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from entcomp.errors import EntcompError
from entcomp.registry import Registry
from entcomp.segmentation import DEFAULT_CRITERION
from entcomp.segmentation.criterion import Criterion, Style, spell

CRITERIA: Registry[type[Criterion]] = Registry(
    "criterion", "entcomp.segmentation.criteria", "entcomp.criteria"
)


def find_criterion(name: str) -> Criterion:
    """Raises EntcompError for an unknown name, with those that there are."""
    if name not in CRITERIA:
        raise EntcompError(f"--criterion {name}: one of {', '.join(criterion_names())}")
    return CRITERIA[name]()


def criterion_names() -> list[str]:
    """The default, then those on entropies, then those on units."""
    return sorted(
        CRITERIA, key=lambda name: (name != DEFAULT_CRITERION, not CRITERIA[name].directions, name)
    )


def implied_criterion(options: Iterable[str]) -> str | None:
    """The criterion that options mean where none is named; ours before anybody else's."""
    given = set(options)
    found = (name for name, one in CRITERIA.items() if one.implied_by is not None)
    return next((name for name in found if set(CRITERIA[name].implied_by or ()) == given), None)


def describe_criteria() -> Iterator[tuple[str, str]]:
    """``(name, line of --help)`` of each criterion, with the options that it takes."""
    for name in criterion_names():
        one = CRITERIA[name]
        strengths = " or ".join(spell(options) for options in one.strengths if options)
        own = [f"--option {option}={value}" for option, value in one.options.items()]
        further = ", ".join([*(spell((option,)) for option in one.takes), *own])
        takes = "; ".join(part for part in (strengths, further) if part)
        yield name, f"{one.help} ({takes})" if takes else one.help


def criterion_styles() -> dict[str, Style]:
    """By name and variant, as in ``NAME peaks``, how figures show a criterion."""
    styles = (find_criterion(name).styles(name) for name in criterion_names())
    return {label: style for some in styles for label, style in some.items()}
