"""Groups from labelled intervals in files: of an aligner (oracle), or of another tokenizer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from entcomp.artifacts.alignments import compare_durations
from entcomp.artifacts.experiment import Experiment, UnitsInfo
from entcomp.artifacts.intervals import IntervalFiles, Labelled
from entcomp.artifacts.shard import Shard
from entcomp.artifacts.ticks import nearest_frames, to_ticks
from entcomp.artifacts.units import Units
from entcomp.errors import EntcompError
from entcomp.formats.textgrid import Interval
from entcomp.segmentation.criterion import Criterion
from entcomp.segmentation.rows import Row, Rows
from entcomp.segmentation.rule import Rule
from entcomp.segmentation.source import Source
from entcomp.skipped import SkippedUtterances, describe_utterances

# What becomes of the time between two intervals: a group, or a part of that before or after it.
GAPS = ("own", "before", "after")

VERBS = {
    "durations": (
        "is longer or shorter than its intervals by more than two frames",
        "are longer or shorter than their intervals by more than two frames",
    ),
    "passed_over": ("has intervals that cannot be", "have intervals that cannot be"),
    "short": (
        "has intervals that are no group, as they hold the start of no frame",
        "have intervals that are no group, as they hold the start of no frame",
    ),
}


class IntervalCriterion(Criterion):
    """Groups from the intervals of an `IntervalSource`; no recording but those in files has any."""

    strengths = ((),)

    def starts(self, rows: Rows, rule: Rule) -> np.ndarray:
        if rows.values.dtype != bool:
            raise EntcompError(
                f"--criterion {rule.criterion}: its groups come from files of intervals, not from "
                "recordings; name another segmentation"
            )
        return rows.values


@dataclass(frozen=True)
class IntervalSource(Source):
    """The units of a set, and files of intervals that say where their groups start.

    Times are rounded to the nearest frame, as `group_boundaries` gives its time: frame ``i`` starts
    at ``receptive_offset + i * frame_shift``. ``gaps``: what becomes of the time that no interval
    covers, one of `GAPS`. An utterance whose duration in its file differs from that of its units by
    more than ``max_difference`` seconds, and two frames, is bad; a CTM can only be too long.
    ``found`` has what is to be said of the utterances read so far: by kind, texts by id.
    """

    files: IntervalFiles = field(kw_only=True)
    info: UnitsInfo = field(kw_only=True)
    gaps: str = field(kw_only=True)
    max_difference: float = field(kw_only=True)
    remedy: str = field(kw_only=True)
    found: dict[str, dict[str, str]] = field(default_factory=lambda: {kind: {} for kind in VERBS})

    @classmethod
    def open(
        cls,
        experiment: Experiment,
        set_name: str,
        files: IntervalFiles,
        gaps: str,
        max_difference: float,
        remedy: str,
    ) -> IntervalSource:
        """``remedy``: how to raise ``max_difference``.

        Raises EntcompError where there are no units, or intervals of none of the utterances.
        """
        if gaps not in GAPS:
            raise EntcompError(f"gaps {gaps}: one of {', '.join(GAPS)}")
        units, info = Units.open(experiment, set_name), experiment.units_info()
        if not any(utt_id in files for utt_id in units.ids()):
            first = next(iter(files), "nothing")
            raise EntcompError(
                f"{files}: nothing of any utterance of {set_name} (the first there is {first}); "
                "name other files, or other sets by --sets"
            )
        return cls(
            set_name,
            units,
            files=files,
            info=info,
            gaps=gaps,
            max_difference=max_difference,
            remedy=remedy,
        )

    def content_hashes(self) -> list[str]:
        return [*super().content_hashes(), self.files.sha256(self.ids())]

    def rows(self, skipped: SkippedUtterances, shard: Shard = Shard()) -> Iterator[Row]:
        """Yield ``(utt_id, starts, None)``, bool (frames,); bad utterances go to ``skipped``."""
        for utt_id, units, _ in super().rows(skipped, shard):
            starts = None
            with skipped.guard(utt_id):
                starts = self._starts(utt_id, self.files.find(utt_id), len(units))
            if starts is not None:
                yield utt_id, starts, None

    def remarks(self) -> list[str]:
        said = (describe_utterances(self.found[kind], *verbs) for kind, verbs in VERBS.items())
        return [line for line in said if line]

    def write_remarks(self, path: Path) -> None:
        """Write ``utt_id remark`` lines; no file where there are none."""
        listing = SkippedUtterances(skip_bad=True)
        for texts in self.found.values():
            for utt_id, text in texts.items():
                before = listing.reasons.get(utt_id)
                listing.reasons[utt_id] = f"{before}; {text}" if before else text
        listing.write(path)

    def _starts(self, utt_id: str, labelled: Labelled, frames: int) -> np.ndarray:
        duration = labelled.duration
        if not labelled.is_complete:  # silence may follow
            duration = max(duration, frames * self.info.frame_shift)
        given = labelled.source, duration, frames, self.info
        if differs := compare_durations(*given, self.max_difference, self.remedy):
            self.found["durations"][utt_id] = differs
        if labelled.passed_over:
            self.found["passed_over"][utt_id] = "; ".join(labelled.passed_over)
        spans = frames_of(labelled.intervals, frames, self.info)
        if short := np.count_nonzero(spans[:, 0] == spans[:, 1]):
            self.found["short"][utt_id] = f"{short} of {len(spans)}"
        starts = np.zeros(frames + 1, bool)
        starts[edges_of(spans, self.gaps)] = True
        starts[0] = True
        return starts[:-1]


def frames_of(intervals: Sequence[Interval], frames: int, info: UnitsInfo) -> np.ndarray:
    """First and past-the-last frame of each interval, int64 (intervals, 2), within the units."""
    ticks = [to_ticks(time) for one in intervals for time in (one.start, one.end)]
    return nearest_frames(ticks, info).clip(0, frames).reshape(-1, 2)


def edges_of(spans: np.ndarray, gaps: str) -> np.ndarray:
    """Where groups start, int64, unsorted, from frames of intervals (intervals, 2).

    ``own``: a gap is a group; ``before``: it goes to the interval before it, one at the very start
    to the first interval; ``after``: to the one after it, one at the very end to the last interval.
    """
    first, end = spans.T
    if gaps == "before":
        return first[first > first.min()] if len(spans) else first
    if gaps == "after":
        return end[end < end.max()] if len(spans) else end
    return spans.ravel()
