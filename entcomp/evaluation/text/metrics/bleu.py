"""BLEU and chrF, of translation."""

from __future__ import annotations

from collections.abc import Sequence

from entcomp.evaluation.text.metric import Metric, Score, TextOptions
from entcomp.evaluation.text.metrics import METRICS
from entcomp.evaluation.text.normalizer import normalize
from entcomp.evaluation.text.translation import make_bleu, translation_scores


@METRICS.register("bleu")
class Bleu(Metric):
    """BLEU and chrF of texts as they are; non-linguistic symbols go where they are named."""

    help = "BLEU and chrF of texts as they are (translation)"
    labels = {"bleu": "BLEU", "chrf": "chrF"}  # noqa: RUF012

    def scores(
        self, references: Sequence[str], hypotheses: Sequence[str], options: TextOptions
    ) -> dict[str, Score]:
        if nlsyms := options.nlsyms:
            references, hypotheses = (
                [normalize(one, "none", None, nlsyms) for one in texts]
                for texts in (references, hypotheses)
            )
        return translation_scores(references, hypotheses, options.lang)

    def describe(self, name: str, score: Score) -> str:
        low, high = score["interval"]
        return (
            f"{self.labels[name]} {score['score']:.2f} [{low:.2f}, {high:.2f}], "
            f"{score['utterances']} utterances, {score['signature']}"
        )

    def settings(self, score: Score) -> str:
        return f"signature {score['signature']}"

    def check_language(self, lang: str | None) -> None:
        make_bleu(lang)
