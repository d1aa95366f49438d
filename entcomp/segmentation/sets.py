"""Sets that criteria of units learn from, or are calibrated on."""

from __future__ import annotations

from fnmatch import fnmatchcase

from entcomp.artifacts.calibration import Calibration
from entcomp.artifacts.experiment import Experiment
from entcomp.errors import EntcompError


def find_sets(experiment: Experiment, option: str, patterns: str) -> list[str]:
    """Sets with units that fit patterns, divided by commas. Raises EntcompError where none does.

    ``option`` is that of the criterion which names them.
    """
    there = experiment.sets()
    chosen: set[str] = set()
    for pattern in patterns.split(","):
        names = {name for name in there if fnmatchcase(name, pattern.strip())}
        if not names:
            raise EntcompError(
                f"{experiment.path}: no set '{pattern}' has units; name some by --option "
                f"{option}=NAMES; available: {', '.join(there) or 'none'}"
            )
        chosen |= names
    return sorted(chosen)


def calibration_sets(experiment: Experiment, patterns: str) -> list[str]:
    """Those asked for by ``--option calibration``, else those of calibration.json.

    Empty where there is none.
    """
    if patterns:
        return find_sets(experiment, "calibration", patterns)
    calibration = Calibration.find(experiment)
    return list(calibration.sets) if calibration else []
