"""Praat TextGrids: words and phones with their times, of MFA, MAUS and our own aligner."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from entcomp.errors import EntcompError
from entcomp.files import atomic_path

# What aligners call their tiers, the preferred name first: ours and MFA's, then MAUS's.
TIER_NAMES = {
    "words": ("words", "word", "ORT-MAU", "KAN-MAU"),
    "phones": ("phones", "phone", "MAU"),
}
SILENCES = frozenset({"", "sp", "sil", "spn", "<p:>", "<sil>", "<eps>", "silence"})
ARPABET_STRESS = re.compile(r"(?<=^[A-Z]{2})[0-2]$")


@dataclass(frozen=True)
class Interval:
    """A labelled span from ``start`` to ``end``, in seconds."""

    start: float
    end: float
    label: str

    @property
    def is_silence(self) -> bool:
        return self.label.lower() in SILENCES


@dataclass(frozen=True)
class TextGrid:
    """Interval tiers by name, over ``duration`` seconds; all times count from the grid's start."""

    duration: float
    tiers: dict[str, tuple[Interval, ...]]
    source: str = "TextGrid"

    def tier(self, kind: str) -> tuple[Interval, ...]:
        """The ``words`` or ``phones`` without silences, or the tier of exactly this name.

        Vowels come without stress digits. Raises EntcompError where there is no such tier.
        """
        for name in TIER_NAMES.get(kind, (kind,)):
            for found, intervals in self.tiers.items():
                # MFA puts "speaker - " before the name where a file has several speakers.
                if found == name or found.endswith(f" - {name}"):
                    return tuple(_without_stress(one) for one in intervals if not one.is_silence)
        there = ", ".join(self.tiers) or "none"
        raise EntcompError(f"{self.source}: no tier '{kind}'; there are: {there}")


def read_textgrid(path: Path) -> TextGrid:
    """Read a TextGrid in the long or short format, UTF-8 or UTF-16; point tiers are left out.

    Raises EntcompError if the file is missing or is no TextGrid.
    """
    from praatio import textgrid
    from praatio.data_classes.interval_tier import IntervalTier
    from praatio.utilities.errors import PraatioException

    try:
        grid = textgrid.openTextgrid(str(path), includeEmptyIntervals=True, reportingMode="silence")
    except FileNotFoundError:
        raise EntcompError(f"{path}: no such TextGrid; run align, or pass --alignments") from None
    except (PraatioException, ValueError, IndexError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise EntcompError(f"{path}: not a TextGrid ({reason}); align it again") from None
    origin = grid.minTimestamp
    tiers = {
        tier.name: tuple(Interval(a - origin, b - origin, label) for a, b, label in tier.entries)
        for tier in grid.tiers
        if isinstance(tier, IntervalTier)
    }
    return TextGrid(grid.maxTimestamp - origin, tiers, str(path))


def write_textgrid(path: Path, grid: TextGrid) -> None:
    """Write a TextGrid in the long format, atomically; what no interval covers is blank."""
    from praatio import textgrid
    from praatio.data_classes.interval_tier import IntervalTier

    praat = textgrid.Textgrid(0.0, grid.duration)
    for name, intervals in grid.tiers.items():
        entries = [(one.start, one.end, one.label) for one in intervals]
        praat.addTier(IntervalTier(name, entries, 0.0, grid.duration))
    with atomic_path(path) as temporary:
        praat.save(str(temporary), format="long_textgrid", includeBlankSpaces=True)


def _without_stress(interval: Interval) -> Interval:
    label = ARPABET_STRESS.sub("", interval.label)
    return interval if label == interval.label else Interval(interval.start, interval.end, label)
