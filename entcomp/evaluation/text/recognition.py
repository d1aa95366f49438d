"""Word and character error rates, by jiwer, and transcripts as sclite reads them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from entcomp.evaluation.bootstrap import RESAMPLES, ratio, ratio_interval
from entcomp.evaluation.text.normalizer import Normalizer, normalize
from entcomp.files import write_text


def error_rates(
    references: Sequence[str],
    hypotheses: Sequence[str],
    normalizer: Normalizer,
    lang: str | None = None,
    nlsyms: Sequence[str] | None = None,
) -> dict[str, Any]:
    """WER and CER in percent of pairs of texts, both of them normalised first (see `normalize`).

    ``{"wer": {...}, "cer": {...}}`` with counts of substitutions, deletions and insertions, and a
    95% bootstrap ``interval`` over utterances. CER counts the spaces between words. Errors of
    empty references are insertions; where all are empty, the percentage is taken of one word.
    """
    counts = count_errors(references, hypotheses, normalizer, lang, nlsyms)
    facts: dict[str, Any] = {"normalizer": normalizer}
    if lang is not None:
        facts["lang"] = lang
    if nlsyms is not None:
        facts["nlsyms"] = list(nlsyms)
    return {name: _rate(one) | facts for name, one in counts.items()}


def count_errors(
    references: Sequence[str],
    hypotheses: Sequence[str],
    normalizer: Normalizer,
    lang: str | None = None,
    nlsyms: Sequence[str] | None = None,
) -> dict[str, np.ndarray]:
    """Of ``wer`` and ``cer`` int64 (utterances, 4), of pairs of texts, both of them normalised.

    Columns: substitutions, deletions, insertions, and the reference's length.
    """
    import jiwer

    references = [normalize(one, normalizer, lang, nlsyms) for one in references]
    hypotheses = [normalize(one, normalizer, lang, nlsyms) for one in hypotheses]
    return {
        "wer": _counts(jiwer.process_words(references, hypotheses)),
        "cer": _counts(jiwer.process_characters(references, hypotheses)),
    }


def write_trn(path: Path, texts: dict[str, str]) -> None:
    """Write ``text (utt_id)`` lines, for ``sclite -i spu_id``."""
    write_text(path, "".join(f"{text} ({utt_id})\n" for utt_id, text in texts.items()))


def _rate(counts: np.ndarray) -> dict[str, Any]:
    errors, lengths = counts[:, :3].sum(axis=1), counts[:, 3]
    substitutions, deletions, insertions, length = counts.sum(axis=0).tolist()
    return {
        "percent": ratio(100 * errors, lengths),
        "interval": [*ratio_interval(100 * errors, lengths)],
        "resamples": RESAMPLES,
        "substitutions": substitutions,
        "deletions": deletions,
        "insertions": insertions,
        "reference_length": length,
        "utterances": len(lengths),
        "utterances_with_errors": int((errors > 0).sum()),
        "empty_references": int((lengths == 0).sum()),
    }


def _counts(output: Any) -> np.ndarray:
    """``output`` is jiwer's, which says for each utterance what was substituted, deleted..."""
    pairs = zip(output.alignments, output.references, strict=True)
    return np.array([[*_edits(chunks), len(reference)] for chunks, reference in pairs])


def _edits(chunks: Sequence[Any]) -> tuple[int, int, int]:
    """Substitutions, deletions, insertions of one utterance's alignment."""
    sizes = {"substitute": 0, "delete": 0, "insert": 0, "equal": 0}
    for chunk in chunks:
        by_reference = chunk.ref_end_idx - chunk.ref_start_idx
        by_hypothesis = chunk.hyp_end_idx - chunk.hyp_start_idx
        sizes[chunk.type] += max(by_reference, by_hypothesis)
    return sizes["substitute"], sizes["delete"], sizes["insert"]
