"""BLEU and chrF, by sacreBLEU, with the signatures that say how they were made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from entcomp.evaluation.bootstrap import RESAMPLES, percentile_interval, resampled_sums

# Languages without spaces between words; all others take sacreBLEU's default tokeniser.
TOKENIZERS = {"zh": "zh", "ja": "char", "ko": "char", "th": "char"}


def translation_scores(
    references: Sequence[str], hypotheses: Sequence[str], lang: str | None = None
) -> dict[str, Any]:
    """Corpus BLEU and chrF of cased, untokenised texts.

    ``{"bleu": {...}, "chrf": {...}}`` with score, 95% bootstrap ``interval`` over utterances, and
    sacreBLEU's ``signature``. ``lang`` (of the references) chooses BLEU's tokeniser.
    """
    from sacrebleu.metrics import BLEU, CHRF

    metrics = {"bleu": BLEU(tokenize=TOKENIZERS.get(lang or "", "13a")), "chrf": CHRF()}
    return {name: _score(metric, references, hypotheses, lang) for name, metric in metrics.items()}


def _score(
    metric: Any, references: Sequence[str], hypotheses: Sequence[str], lang: str | None
) -> dict[str, Any]:
    score = metric.corpus_score(list(hypotheses), [list(references)])
    # sacreBLEU's own bootstrap stops with a TypeError once the score of a resample is zero.
    counts = metric._extract_corpus_statistics(list(hypotheses), [list(references)])
    sums = resampled_sums(np.array(counts, dtype=np.float64))
    scores = [float(metric._compute_score_from_stats(row.tolist()).score) for row in sums]
    return {
        "score": float(score.score),
        "interval": list(percentile_interval(np.array(scores))),
        "resamples": RESAMPLES,
        "signature": str(metric.get_signature()),
        "utterances": len(references),
        "lang": lang,
    }
