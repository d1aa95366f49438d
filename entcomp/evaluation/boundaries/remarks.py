"""What is to be said of a set's TextGrids beside its scores: which are missing, bad or odd."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from entcomp.artifacts.alignments import MAX_DIFFERENCE, compare_durations
from entcomp.artifacts.experiment import UnitsInfo
from entcomp.errors import EntcompError
from entcomp.evaluation.boundaries.references import Reference, References
from entcomp.skipped import SkippedUtterances, describe_utterances

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
                differs = compare_durations(
                    *(reference.source, reference.duration, int(lengths.sum()), info),
                    *(self.max_difference, "align again, or raise --max-difference"),
                )
                if differs:
                    self.durations[utt_id] = differs
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
    said = (describe_utterances(result[kind], *verbs) for kind, verbs in VERBS.items())
    return [line for line in said if line]
