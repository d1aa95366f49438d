"""How converted speech is judged: what is said, whose voice it is, and how it sounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from entcomp.evaluation.bootstrap import RESAMPLES, ratio, ratio_interval
from entcomp.evaluation.text.recognition import error_rates
from entcomp.evaluation.voices.mos import MosPredictor
from entcomp.evaluation.voices.speaker import (
    EMBEDDING_SIZE,
    SpeakerEncoder,
    TooLittleSpeechError,
    similarity,
)

Scores = dict[str, Any]


class Recogniser(Protocol):
    """``key`` names the columns, ``name`` the model."""

    @property
    def key(self) -> str: ...

    @property
    def name(self) -> str: ...

    def transcribe(self, waveform: np.ndarray) -> str:
        """The words in (samples,) at 16 kHz."""


@dataclass(frozen=True)
class Evaluator:
    """The models that score an utterance."""

    recognisers: Sequence[Recogniser]
    predictors: Sequence[MosPredictor]
    voices: SpeakerEncoder

    def names(self) -> dict[str, str]:
        """Which model made each column."""
        recognisers = {one.key: one.name for one in self.recognisers}
        predictors = {one.key: one.name for one in self.predictors}
        return {**recognisers, **predictors, "similarity": self.voices.name}

    def evaluate(self, waveform: np.ndarray, reference: np.ndarray, source: np.ndarray) -> Scores:
        """Score (samples,) at 16 kHz against the voices of reference and source."""
        voice = self.voice(waveform)
        return {
            "similarity_reference": similarity(voice, reference),
            "similarity_source": similarity(voice, source),
            **{one.key: one.predict(waveform) for one in self.predictors},
            **{f"text_{one.key}": one.transcribe(waveform) for one in self.recognisers},
        }

    def voice(self, waveform: np.ndarray) -> np.ndarray:
        """Embedding of (samples,) at 16 kHz; zeros, similar to nobody, for too little speech."""
        try:
            return self.voices.embed(waveform)
        except TooLittleSpeechError:
            return np.zeros(EMBEDDING_SIZE, np.float32)

    def summarise(self, scores: Mapping[str, Scores], texts: Mapping[str, str]) -> Scores:
        """Means and error rates over utterances, each with a 95% bootstrap interval.

        Utterances without a text do not count in error rates; without any, there are none.
        """
        rows = list(scores.values())
        means = ["similarity_reference", "similarity_source", *(one.key for one in self.predictors)]
        summary: Scores = {key: mean_interval([row[key] for row in rows]) for key in means}
        closer = [row["similarity_reference"] > row["similarity_source"] for row in rows]
        share = mean_interval([100.0 * one for one in closer])
        summary["closer_to_reference"] = {"percent": share.pop("mean"), **share}
        known = [utt_id for utt_id in scores if texts.get(utt_id)]
        for one in self.recognisers if known else ():
            heard = [scores[utt_id][f"text_{one.key}"] for utt_id in known]
            rates = error_rates([texts[utt_id] for utt_id in known], heard, "basic")
            summary |= {f"{rate}_{one.key}": value for rate, value in rates.items()}
        return {"utterances": len(rows), **summary}


def mean_interval(values: Sequence[float]) -> Scores:
    """A mean over utterances and its interval."""
    rows = np.array(values), np.ones(len(values))
    return {"mean": ratio(*rows), "interval": [*ratio_interval(*rows)], "resamples": RESAMPLES}
