"""Word and character error rates, of recognition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from entcomp.evaluation.text.metric import Metric, Score, Statistics, TextOptions, describe_nlsyms
from entcomp.evaluation.text.metrics import METRICS
from entcomp.evaluation.text.normalizer import normalize
from entcomp.evaluation.text.recognition import count_errors, error_rates, write_trn


@METRICS.register("wer")
class WordErrorRate(Metric):
    """WER and CER of normalised texts; see `error_rates`."""

    help = "word and character error rates of normalised texts (recognition)"
    labels = {"wer": "WER (%)", "cer": "CER (%)"}  # noqa: RUF012

    def scores(
        self, references: Sequence[str], hypotheses: Sequence[str], options: TextOptions
    ) -> dict[str, Score]:
        return error_rates(references, hypotheses, options.normalizer, options.lang, options.nlsyms)

    def statistics(
        self, references: Sequence[str], hypotheses: Sequence[str], options: TextOptions
    ) -> dict[str, Statistics]:
        found = count_errors(
            references, hypotheses, options.normalizer, options.lang, options.nlsyms
        )
        return {name: Statistics(counts, _percent) for name, counts in found.items()}

    def describe(self, name: str, score: Score) -> str:
        low, high = score["interval"]
        utterances = f"{score['utterances']} utterances"
        if empty := score["empty_references"]:
            utterances += f" ({empty} with an empty reference)"
        return (
            f"{name.upper()} {score['percent']:.2f}% [{low:.2f}, {high:.2f}], {utterances}, "
            f"{score['substitutions']} sub, {score['deletions']} del, {score['insertions']} ins of "
            f"{score['reference_length']}, {self.settings(score)}"
        )

    def settings(self, score: Score) -> str:
        lang = f" of {score['lang']}" if "lang" in score else ""
        return f"normalizer {score['normalizer']}{lang}{describe_nlsyms(score)}"

    def write_texts(
        self,
        folder: Path,
        references: Mapping[str, str],
        hypotheses: Mapping[str, str],
        options: TextOptions,
    ) -> None:
        """``ref.trn`` and ``hyp.trn``, normalised, for sclite."""
        for name, texts in (("ref", references), ("hyp", hypotheses)):
            clean = {
                utt_id: normalize(texts[utt_id], options.normalizer, options.lang, options.nlsyms)
                for utt_id in references
            }
            write_trn(folder / f"{name}.trn", clean)


def _percent(sums: np.ndarray) -> np.ndarray:
    """Errors in percent of words or characters; of one where there are none."""
    return 100 * sums[:, :3].sum(axis=1) / np.maximum(sums[:, 3], 1)
