"""What a metric of texts has to offer; entcomp/evaluation/text/metrics holds them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from entcomp.errors import EntcompError
from entcomp.evaluation.text.normalizer import Normalizer

Score = Mapping[str, Any]


def score_value(score: Score) -> float:
    """The number of a score: a percentage, or points."""
    return score["percent"] if "percent" in score else score["score"]


def describe_nlsyms(score: Score) -> str:
    """Which symbols were no words, where that was said; to follow other settings."""
    if "nlsyms" not in score:
        return ""
    return f", no words: {' '.join(score['nlsyms']) or 'none'}"


@dataclass(frozen=True)
class TextOptions:
    """How texts are read: their normaliser, language (a code), and non-linguistic symbols."""

    normalizer: Normalizer = "basic"
    lang: str | None = None
    nlsyms: Sequence[str] | None = None


@dataclass(frozen=True)
class Statistics:
    """What a score is made of: ``counts`` of each utterance (utterances, C), which add up.

    ``score`` gives the score of sums of them, (N, C) -> (N,).
    """

    counts: np.ndarray
    score: Callable[[np.ndarray], np.ndarray]


class Metric(ABC):
    """One or several scores of hypotheses against references.

    ``help`` is its line in `score --help`; ``labels`` name its scores in tables and figures, the
    main one first.
    """

    help: ClassVar[str]
    labels: ClassVar[Mapping[str, str]]

    @abstractmethod
    def scores(
        self, references: Sequence[str], hypotheses: Sequence[str], options: TextOptions
    ) -> dict[str, Score]:
        """Each score by name: JSON values with ``percent`` or ``score``, ``interval`` (low, high)
        of 95%, and ``utterances``. Texts come in pairs, at least one.
        """

    def statistics(
        self, references: Sequence[str], hypotheses: Sequence[str], options: TextOptions
    ) -> dict[str, Statistics]:
        """Each score's statistics, by name, for intervals that `scores` does not have.

        Raises EntcompError where a metric has none.
        """
        raise EntcompError(f"{type(self).__name__}: this metric's scores are not made of sums")

    @abstractmethod
    def describe(self, name: str, score: Score) -> str:
        """A line that tells one of the scores."""

    def settings(self, score: Score) -> str:
        """What a score depends on, as in ``normalizer basic``, for the text over a table."""
        return ""

    def check_language(self, lang: str | None) -> None:
        """Raises EntcompError for a language whose texts it cannot score."""
        return

    def write_texts(
        self,
        folder: Path,
        references: Mapping[str, str],
        hypotheses: Mapping[str, str],
        options: TextOptions,
    ) -> None:
        """Write what other tools of this metric read, by utterance; nothing by default."""
        return
