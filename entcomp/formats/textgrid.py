"""Praat TextGrids: words and phones with their times, of MFA, MAUS and our own aligner."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from entcomp.errors import EntcompError
from entcomp.files import atomic_path
from entcomp.formats.nlsyms import NLSYM
from entcomp.formats.praat_text import decode_praat, parse_textgrid

# What aligners call their tiers, the preferred name first: ours and MFA's, then MAUS's.
TIER_NAMES = {
    "words": ("words", "word", "ORT-MAU", "KAN-MAU"),
    "phones": ("phones", "phone", "MAU"),
}
# What aligners write where nothing is said, spelt as they spell it, besides no label at all. In a
# tier of words all non-linguistic symbols count as that, too: <sil>, <p:>, [NOISE]; but not <unk>,
# a word that somebody said.
SILENT_WORDS = frozenset({"sp", "sil"})  # HTK, P2FA, Prosodylab; MFA has no label
SILENT_PHONES = frozenset(
    {
        *("sp", "sil", "spn", "<eps>", "silence"),  # HTK, Kaldi, MFA
        *("<p:>", "<nib>", "<usb>"),  # MAUS: pause, noise, what nobody could understand
        *("SP", "SIL", "SPN", "<sil>", "<s>", "</s>", "+SPN+", "+NSN+"),  # pocketsphinx
    }
)
ARPABET_STRESS = re.compile(r"(?<=^[A-Z]{2})[0-2]$")
# Two times this close, in seconds, are the same one, written by tools that round differently.
ROUNDING = 0.001


@dataclass(frozen=True)
class Interval:
    """A labelled span from ``start`` to ``end``, in seconds."""

    start: float
    end: float
    label: str

    def __str__(self) -> str:
        return f"{self.start:g} to {self.end:g} s {self.label!r}"


@dataclass(frozen=True)
class TierChoice:
    """Which intervals count: those of ``speaker`` (None: of all), and no ``silences``.

    ``silences`` are labels; None stands for those that aligners write, by kind of tier
    (`SILENT_WORDS`, `SILENT_PHONES`). What has no label is always one.
    """

    speaker: str | None = None
    silences: frozenset[str] | None = None

    def is_silence(self, label: str, kind: str) -> bool:
        if not label or self.silences is not None:
            return not label or label in (self.silences or ())
        if kind == "phones" or kind in TIER_NAMES["phones"]:
            return label in SILENT_PHONES
        return label in SILENT_WORDS or bool(NLSYM.fullmatch(label) and label.lower() != "<unk>")


EVERYONE = TierChoice()


@dataclass(frozen=True)
class TextGrid:
    """Interval tiers by name, over ``duration`` seconds; all times count from the grid's start."""

    duration: float
    tiers: dict[str, tuple[Interval, ...]]
    source: str = "TextGrid"

    def tier(self, kind: str, choice: TierChoice = EVERYONE) -> tuple[Interval, ...]:
        """The ``words`` or ``phones`` without silences, or the tier of exactly this name.

        In a conversation, those of all speakers, or of the one chosen, by time. Vowels come without
        stress digits. Intervals that cannot be are not among them, see `passed_over`. Raises
        EntcompError where there is no such tier, or no such speaker.
        """
        kept = [one for name in self._named(kind, choice) for one in self._sift(name, choice)[0]]
        return tuple(map(_without_stress, sorted(kept, key=lambda one: (one.start, one.end))))

    def passed_over(self, kind: str, choice: TierChoice = EVERYONE) -> list[str]:
        """Which intervals `tier` left out, and why: a line for each."""
        return [
            f"{name}: {interval} {reason}"
            for name in self._named(kind, choice)
            for interval, reason in self._sift(name, choice)[1]
        ]

    def _named(self, kind: str, choice: TierChoice) -> list[str]:
        """Names of the tiers of this kind. MFA puts "speaker - " before, if there are several."""
        spoken = choice.speaker
        for name in TIER_NAMES.get(kind, (kind,)):
            if spoken is not None:
                named = [one for one in self.tiers if one == f"{spoken} - {name}"]
            else:
                named = [one for one in self.tiers if one == name or one.endswith(f" - {name}")]
            if named:
                return named
        there = ", ".join(self.tiers) or "none"
        whose = "" if spoken is None else f" of speaker '{spoken}'"
        raise EntcompError(f"{self.source}: no tier '{kind}'{whose}; available: {there}")

    def _sift(
        self, name: str, choice: TierChoice
    ) -> tuple[list[Interval], list[tuple[Interval, str]]]:
        """Intervals of a tier that are no silence, and those that cannot be with the reasons."""
        kept: list[Interval] = []
        out: list[tuple[Interval, str]] = []
        end = 0.0
        for one in sorted(self.tiers[name], key=lambda one: (one.start, one.end)):
            if choice.is_silence(one.label, name.rpartition(" - ")[2]):
                continue
            if one.end <= one.start:
                out.append((one, "has no length"))
            elif one.start < -ROUNDING or one.end > self.duration + ROUNDING:
                out.append((one, f"lies outside of the {self.duration:g} s"))
            elif one.start < end - ROUNDING or one.end <= end:
                out.append((one, "overlaps the interval before it"))
            else:
                kept.append(Interval(max(one.start, end), one.end, one.label))
                end = one.end
        return kept, out


def find_textgrids(folder: Path) -> dict[str, Path]:
    """TextGrids of a folder by utterance id, at any depth, as MFA leaves them.

    Files are named ``<utt_id>.TextGrid``; capitals do not matter. Raises EntcompError for a name
    that is there twice, since either could be meant.
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*.[tT][eE][xX][tT][gG][rR][iI][dD]")):
        other = found.setdefault(path.stem, path)
        if other != path:
            raise EntcompError(f"{path}: also at {other}; keep one of them")
    return found


def textgrid_beside(recording: Path) -> Path | None:
    """The TextGrid of the same name in the same folder, if there is one."""
    for suffix in (".TextGrid", ".textgrid"):
        if (path := recording.with_suffix(suffix)).exists():
            return path
    return None


def read_textgrid(path: Path) -> TextGrid:
    """Read a TextGrid in the long or short format, UTF-8 or UTF-16; point tiers are left out.

    Raises EntcompError if the file is missing or is no TextGrid.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise EntcompError(f"{path}: no such TextGrid; run align, or name another") from None
    except OSError as error:
        raise EntcompError(f"{path}: {error.strerror}; a TextGrid was expected") from None
    return grid_of(content, str(path))


def grid_of(content: bytes, source: str) -> TextGrid:
    """As `read_textgrid`, of a file's bytes; ``source`` is what errors call it."""
    try:
        start, end, found = parse_textgrid(decode_praat(content))
        if end <= start:
            raise ValueError(f"it lasts from {start:g} to {end:g} s")
    except ValueError as error:
        raise EntcompError(f"{source}: not a TextGrid ({error}); save or align it again") from None
    tiers: dict[str, tuple[Interval, ...]] = {}
    for quoted, spans in found:
        name = " ".join(quoted.split())
        if name in tiers:
            raise EntcompError(f"{source}: two tiers named '{name}'; rename one of them")
        tiers[name] = tuple(Interval(a - start, b - start, label) for a, b, label in spans)
    return TextGrid(end - start, tiers, source)


def parse_silences(text: str | None) -> frozenset[str] | None:
    """Labels between commas, as ``sp,sil,<p:>``; None, for the aligners' own, stays None."""
    return None if text is None else frozenset(label.strip() for label in text.split(","))


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
