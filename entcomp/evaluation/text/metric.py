"""What a metric of texts has to offer; entcomp/evaluation/text/metrics holds them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from entcomp.evaluation.text.normalizer import Normalizer

Score = Mapping[str, Any]


def score_value(score: Score) -> float:
    """The number of a score: a percentage, or points."""
    return score["percent"] if "percent" in score else score["score"]


@dataclass(frozen=True)
class TextOptions:
    """How texts are read: their normaliser, language (a code), and non-linguistic symbols."""

    normalizer: Normalizer = "basic"
    lang: str | None = None
    nlsyms: Sequence[str] | None = None


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
