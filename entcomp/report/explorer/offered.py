"""Which criteria the page offers, and what it has to know of each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from entcomp.artifacts.experiment import Direction, Experiment
from entcomp.errors import EntcompError
from entcomp.segmentation.calibration import rate_curve
from entcomp.segmentation.criteria import criterion_names, find_criterion
from entcomp.segmentation.criterion import Criterion, EntropyCriterion
from entcomp.segmentation.request import Request

SCRIPTS = Path(__file__).parent / "criteria"  # NAME.js for each criterion that the page knows
LEVELS = np.linspace(0, 1, 129)


def describe_criteria(
    experiment: Experiment, frame_shift: float, directions: tuple[Direction, ...]
) -> list[dict[str, Any]]:
    """Every registered criterion for the page's JSON, see `data`; those left out say why.

    ``frame_shift`` in seconds; ``directions`` of the entropies that the recordings come with.
    """
    described = []
    for name in criterion_names():
        kind = find_criterion(name)
        one: dict[str, Any] = {"name": name, "help": kind.help}
        if problem := _problem(name, kind, directions):
            one["problem"] = problem
        else:
            one |= _describe(name, kind, experiment, frame_shift)
        described.append(one)
    return described


def _problem(name: str, kind: Criterion, directions: tuple[Direction, ...]) -> str | None:
    """Why the page cannot offer a criterion; None if it can."""
    if not (SCRIPTS / f"{name}.js").exists():
        return "not in this page, which has no JavaScript for it; see entcomp segment"
    if missing := [one for one in kind.directions if one not in directions]:
        return f"needs the entropies of a {missing[0]} LM, which the model lacks"
    return None


def _describe(
    name: str, kind: Criterion, experiment: Experiment, frame_shift: float
) -> dict[str, Any]:
    one: dict[str, Any] = {
        "strength": next(iter(kind.strengths[-1]), None),
        "peaks": "peaks" in kind.takes,
        "thresholds": [],
    }
    if not isinstance(kind, EntropyCriterion):
        return one
    one["thresholds"] = [{"name": each.name, "unit": each.unit} for each in kind.thresholds]
    one["curves"] = {}
    for peaks in (False, True) if one["peaks"] else (False,):
        request = Request(name, peaks=peaks)
        try:
            points = rate_curve(request, experiment, frame_shift, LEVELS)
        except EntcompError as error:
            one["uncalibrated"] = str(error)
            break
        one["moments"] = points[0][1].moments
        one["curves"]["peaks" if peaks else "all"] = {
            "rates": [round(rate, 6) for rate, _ in points],
            "thresholds": {
                each.name: [rule.threshold(each.name) for _, rule in points]
                for each in kind.thresholds
            },
        }
    return one
