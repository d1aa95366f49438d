"""BLEU and chrF, by sacreBLEU, with the signatures that say how they were made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from entcomp.errors import EntcompError
from entcomp.evaluation.bootstrap import RESAMPLES, percentile_interval, resampled_sums
from entcomp.evaluation.text.languages import is_romanised, language_of

# sacreBLEU's tokenisers by language; all others take its default, which relies on spaces. Where
# no tokeniser knows the words of a script without spaces, characters count (flores200 would need
# a download).
DEFAULT_TOKENIZER = "13a"
TOKENIZERS = {
    **dict.fromkeys(("zh", "yue", "wuu", "gan", "hak", "hsn", "cdo", "nan", "lzh"), "zh"),
    "ja": "ja-mecab",
    "ko": "ko-mecab",
    **dict.fromkeys(("th", "lo", "km", "my", "shn", "mnw", "bo", "dz"), "char"),
}


def translation_scores(
    references: Sequence[str], hypotheses: Sequence[str], lang: str | None = None
) -> dict[str, Any]:
    """Corpus BLEU and chrF of cased, untokenised texts.

    ``{"bleu": {...}, "chrf": {...}}`` with score, 95% bootstrap ``interval`` over utterances, and
    sacreBLEU's ``signature``. ``lang`` (of the references) chooses BLEU's tokeniser. Raises
    EntcompError as `make_bleu` does.
    """
    metrics = _metrics(lang)
    return {name: _score(metric, references, hypotheses, lang) for name, metric in metrics.items()}


def translation_statistics(
    references: Sequence[str], hypotheses: Sequence[str], lang: str | None = None
) -> dict[str, tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]]:
    """Of ``bleu`` and ``chrf``, counts (utterances, C) and the scores of sums (N, C) -> (N,).

    Raises EntcompError as `make_bleu` does.
    """
    return {
        name: (_counts(metric, references, hypotheses), partial(_scores_of_sums, metric))
        for name, metric in _metrics(lang).items()
    }


def make_bleu(lang: str | None) -> Any:
    """sacreBLEU's metric with the tokeniser of a language.

    Raises EntcompError for a language that is not known, or whose tokeniser is not installed.
    """
    from sacrebleu.metrics import BLEU

    tokenizer = bleu_tokenizer(lang)
    try:
        return BLEU(tokenize=tokenizer)
    except (ImportError, RuntimeError, AssertionError):  # without MeCab, or another dictionary
        extra = tokenizer.partition("-")[0]
        raise EntcompError(
            f"language '{lang}': BLEU needs sacreBLEU's tokeniser {tokenizer}, which is not "
            f"installed; run: pip install 'sacrebleu[{extra}]'"
        ) from None


def bleu_tokenizer(lang: str | None) -> str:
    """Name of sacreBLEU's tokeniser for a code as corpora write it: ``zh`` for ``zh_TW``, ``cmn``.

    Raises EntcompError for a language that is not known.
    """
    if lang is None or is_romanised(lang):
        return DEFAULT_TOKENIZER
    return TOKENIZERS.get(language_of(lang), DEFAULT_TOKENIZER)


def _metrics(lang: str | None) -> dict[str, Any]:
    from sacrebleu.metrics import CHRF

    return {"bleu": make_bleu(lang), "chrf": CHRF()}


def _counts(metric: Any, references: Sequence[str], hypotheses: Sequence[str]) -> np.ndarray:
    """sacreBLEU's n-grams and lengths, (utterances, C)."""
    counts = metric._extract_corpus_statistics(list(hypotheses), [list(references)])
    return np.array(counts, dtype=np.float64)


def _scores_of_sums(metric: Any, sums: np.ndarray) -> np.ndarray:
    """(N, C) -> (N,). sacreBLEU's own bootstrap stops with a TypeError once a score is zero."""
    return np.array([metric._compute_score_from_stats(row.tolist()).score for row in sums], float)


def _score(
    metric: Any, references: Sequence[str], hypotheses: Sequence[str], lang: str | None
) -> dict[str, Any]:
    score = metric.corpus_score(list(hypotheses), [list(references)])
    sums = resampled_sums(_counts(metric, references, hypotheses))
    scores = _scores_of_sums(metric, sums)
    return {
        "score": float(score.score),
        "interval": list(percentile_interval(scores, float(score.score))),
        "resamples": RESAMPLES,
        "signature": str(metric.get_signature()),
        "utterances": len(references),
        "lang": lang,
    }
