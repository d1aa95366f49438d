"""BLEU and chrF, of translation."""

from __future__ import annotations

from collections.abc import Sequence

from entcomp.evaluation.text.metric import Metric, Score, Statistics, TextOptions, describe_nlsyms
from entcomp.evaluation.text.metrics import METRICS
from entcomp.evaluation.text.normalizer import normalize
from entcomp.evaluation.text.translation import (
    make_bleu,
    translation_scores,
    translation_statistics,
)


@METRICS.register("bleu")
class Bleu(Metric):
    """BLEU and chrF of texts as they are; non-linguistic symbols go where they are named."""

    help = "BLEU and chrF of texts as they are (translation)"
    labels = {"bleu": "BLEU", "chrf": "chrF"}  # noqa: RUF012

    def scores(
        self, references: Sequence[str], hypotheses: Sequence[str], options: TextOptions
    ) -> dict[str, Score]:
        pair = _without_symbols(references, hypotheses, options)
        scores = translation_scores(*pair, options.lang)
        facts = {"nlsyms": list(options.nlsyms)} if options.nlsyms else {}
        return {name: one | facts for name, one in scores.items()}

    def statistics(
        self, references: Sequence[str], hypotheses: Sequence[str], options: TextOptions
    ) -> dict[str, Statistics]:
        pair = _without_symbols(references, hypotheses, options)
        found = translation_statistics(*pair, options.lang)
        return {name: Statistics(*one) for name, one in found.items()}

    def describe(self, name: str, score: Score) -> str:
        low, high = score["interval"]
        return (
            f"{self.labels[name]} {score['score']:.2f} [{low:.2f}, {high:.2f}], "
            f"{score['utterances']} utterances, {score['signature']}"
        )

    def settings(self, score: Score) -> str:
        return f"signature {score['signature']}{describe_nlsyms(score)}"

    def check_language(self, lang: str | None) -> None:
        make_bleu(lang)


def _without_symbols(
    references: Sequence[str], hypotheses: Sequence[str], options: TextOptions
) -> tuple[Sequence[str], Sequence[str]]:
    if not options.nlsyms:
        return references, hypotheses

    def clean(texts: Sequence[str]) -> list[str]:
        return [normalize(one, "none", None, options.nlsyms) for one in texts]

    return clean(references), clean(hypotheses)
