"""What is to be said of a set's TextGrids beside its scores: which are missing, bad or odd."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from entcomp.artifacts.experiment import UnitsInfo
from entcomp.errors import EntcompError
from entcomp.evaluation.boundaries.references import Reference, References
from entcomp.evaluation.boundaries.ticks import to_ticks
from entcomp.skipped import SkippedUtterances

# Seconds that a TextGrid may be longer or shorter than its units. Resampling, the padding of
# codecs and frames that do not fill up leave less (0.06 s for HuBERT on LJSpeech); a TextGrid of
# another recording, or of another cut of it, differs by more. Two frames are always allowed.
MAX_DIFFERENCE = 0.1

VERBS = {
    "missing": ("has no TextGrid", "have no TextGrid"),
    "skipped": ("is left out", "are left out"),
    "durations": (
        "is longer or shorter than its TextGrid by more than two frames",
        "are longer or shorter than their TextGrids by more than two frames",
    ),
    "passed_over": (
        "has intervals that cannot be counted",
        "have intervals that cannot be counted",
    ),
}


class Remarks:
    """Finds the utterances that can be scored, and notes by id what is wrong with any.

    Unless ``skip_bad``, the first bad TextGrid ends it; one whose duration differs from the units'
    by more than ``max_difference`` seconds is bad, too.
    """

    def __init__(self, skip_bad: bool, max_difference: float = MAX_DIFFERENCE) -> None:
        self.max_difference = max_difference
        self.skipped = SkippedUtterances(skip_bad)
        self.missing: list[str] = []
        self.durations: dict[str, str] = {}
        self.passed_over: dict[str, str] = {}

    def usable(
        self, groups: Iterable[tuple[str, np.ndarray]], references: References, info: UnitsInfo
    ) -> Iterator[tuple[str, np.ndarray, Reference]]:
        """Yield ids, group lengths and references of those that have a good TextGrid.

        Raises EntcompError if there is none at all, and as described above.
        """
        usable = 0
        for utt_id, lengths in groups:
            if utt_id not in references:
                self.missing.append(utt_id)
                continue
            with self.skipped.guard(utt_id):
                reference = references[utt_id]
                self._compare(utt_id, int(lengths.sum()), reference, info)
            if utt_id in self.skipped.reasons:
                continue
            if reference.passed_over:
                self.passed_over[utt_id] = "; ".join(reference.passed_over)
            usable += 1
            yield utt_id, lengths, reference
        if not usable and self.skipped:
            count, first = len(self.skipped), next(iter(self.skipped.reasons.values()))
            raise EntcompError(f"none of {count} TextGrids can be used; the first: {first}")
        if not usable:
            raise EntcompError(f"none of {len(self.missing)} utterances has a TextGrid; run align")

    def _compare(self, utt_id: str, frames: int, reference: Reference, info: UnitsInfo) -> None:
        seconds, two_frames = frames * info.frame_shift, to_ticks(2 * info.frame_shift)
        difference = abs(to_ticks(reference.duration) - to_ticks(seconds))
        if difference > max(to_ticks(self.max_difference), two_frames):
            raise EntcompError(
                f"{reference.source}: lasts {reference.duration:.2f} s, the units "
                f"{seconds:.2f} s; align again, or raise --max-difference"
            )
        if difference > two_frames:
            self.durations[utt_id] = f"{seconds:.2f} s, TextGrid {reference.duration:.2f} s"

    def for_json(self) -> dict[str, Any]:
        """By kind: ids of the missing, texts by id of all others."""
        return {
            "missing": self.missing,
            "skipped": self.skipped.reasons,
            "durations": self.durations,
            "passed_over": self.passed_over,
        }


def describe_remarks(result: Mapping[str, Any]) -> list[str]:
    """A line for each kind of remark in ``result``, with the first five utterances."""
    lines = []
    for kind, (one, many) in VERBS.items():
        found = result[kind]
        details = found if isinstance(found, dict) else {}
        shown = [f"{utt} ({details[utt]})" if utt in details else utt for utt in list(found)[:5]]
        if shown:
            count = f"1 utterance {one}" if len(found) == 1 else f"{len(found)} utterances {many}"
            lines.append(f"{count}: {', '.join(shown)}" + (", ..." if len(found) > 5 else ""))
    return lines
