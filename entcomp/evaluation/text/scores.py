"""Scores of hypotheses against references, both by utterance, and lines that tell them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from entcomp.errors import EntcompError
from entcomp.evaluation.text.metric import Score, TextOptions
from entcomp.evaluation.text.metrics import METRICS
from entcomp.evaluation.text.normalizer import Normalizer


def score_texts(
    references: Mapping[str, str],
    hypotheses: Mapping[str, str],
    metric: str,
    normalizer: Normalizer = "basic",
    lang: str | None = None,
    where: Path | None = None,
    nlsyms: Sequence[str] | None = None,
) -> dict[str, Score]:
    """The scores of a metric: ``wer`` gives WER and CER, ``bleu`` BLEU and chrF.

    ``lang`` is the code of the texts' language, ``nlsyms`` the non-linguistic symbols that do not
    count (see `normalize`); ``bleu`` counts all but those named. Raises EntcompError if an
    utterance has no hypothesis, if there are none at all, or if BLEU does not know the language.
    """
    missing = sorted(references.keys() - hypotheses.keys())
    if missing or not references:
        reason = f"no hypothesis for {missing[0]}" if missing else "no utterance to score"
        raise EntcompError(f"{where or 'hypotheses'}: {reason}; decode the set again")
    found = [hypotheses[utt_id] for utt_id in references]
    options = TextOptions(normalizer, lang, nlsyms)
    return METRICS[metric]().scores(list(references.values()), found, options)


def describe_scores(scores: Mapping[str, Score], metric: str) -> list[str]:
    """A line for each score of the metric."""
    kind = METRICS[metric]()
    return [kind.describe(name, score) for name, score in scores.items()]
