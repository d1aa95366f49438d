"""Scores of hypotheses against references, both by utterance, and lines that tell them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from entcomp.errors import EntcompError
from entcomp.evaluation.text.normalizer import Normalizer, normalize
from entcomp.evaluation.text.recognition import error_rates
from entcomp.evaluation.text.translation import translation_scores

Metric = Literal["wer", "bleu"]


def score_texts(
    references: dict[str, str],
    hypotheses: dict[str, str],
    metric: Metric,
    normalizer: Normalizer = "basic",
    lang: str | None = None,
    where: Path | None = None,
    nlsyms: Sequence[str] | None = None,
) -> dict[str, Any]:
    """``wer`` gives WER and CER of normalised texts, ``bleu`` BLEU and chrF of texts as they are.

    ``lang`` is the code of the texts' language, ``nlsyms`` the non-linguistic symbols that do not
    count (see `normalize`); ``bleu`` counts all but those named. Raises EntcompError if an
    utterance has no hypothesis, if there are none at all, or if BLEU does not know the language.
    """
    missing = sorted(references.keys() - hypotheses.keys())
    if missing or not references:
        reason = f"no hypothesis for {missing[0]}" if missing else "no utterance to score"
        raise EntcompError(f"{where or 'hypotheses'}: {reason}; decode the set again")
    said, heard = list(references.values()), [hypotheses[utt_id] for utt_id in references]
    if metric == "wer":
        return error_rates(said, heard, normalizer, lang, nlsyms)
    if nlsyms:
        said, heard = ([normalize(one, "none", None, nlsyms) for one in x] for x in (said, heard))
    return translation_scores(said, heard, lang)


def describe_scores(scores: dict[str, Any]) -> list[str]:
    """A line for each score."""
    return [_describe(name, score) for name, score in scores.items()]


def _describe(name: str, score: dict[str, Any]) -> str:
    low, high = score["interval"]
    interval = f"[{low:.2f}, {high:.2f}], {score['utterances']} utterances"
    if "signature" in score:
        label = {"bleu": "BLEU", "chrf": "chrF"}[name]
        return f"{label} {score['score']:.2f} {interval}, {score['signature']}"
    if empty := score["empty_references"]:
        interval += f" ({empty} with an empty reference)"
    return (
        f"{name.upper()} {score['percent']:.2f}% {interval}, {score['substitutions']} sub, "
        f"{score['deletions']} del, {score['insertions']} ins of {score['reference_length']}, "
        f"normalizer {score['normalizer']}"
    )
