"""How converted speech is judged: what is said, whose voice it is, and how it sounds.

A judge that a model was conditioned on, or whose units it speaks, is not a fair one: `Evaluator`
knows them, and tables say so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from entcomp.evaluation.bootstrap import RESAMPLES, ratio, ratio_interval, share_interval
from entcomp.evaluation.text.recognition import error_rates
from entcomp.evaluation.voices.metric import VoiceMetric
from entcomp.evaluation.voices.mos import MosPredictor
from entcomp.evaluation.voices.speaker import (
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
class Profile:
    """A voice: its embedding, and what each metric describes it by (None: too little speech)."""

    embedding: np.ndarray | None
    descriptions: Mapping[str, Any]


@dataclass(frozen=True)
class Evaluator:
    """The models that score an utterance; ``metrics`` are those of `VOICE_METRICS`, by name.

    ``dependence`` says of each judge, by its key, what it has to do with how speech was made;
    judges that it does not name had no part in that.
    """

    recognisers: Sequence[Recogniser]
    predictors: Sequence[MosPredictor]
    voices: SpeakerEncoder
    metrics: Mapping[str, VoiceMetric] = field(default_factory=dict)
    dependence: Mapping[str, str] = field(default_factory=dict)

    def names(self) -> dict[str, str]:
        """Which model made each column."""
        recognisers = {one.key: one.name for one in self.recognisers}
        predictors = {one.key: one.name for one in self.predictors}
        metrics = {name: one.model for name, one in self.metrics.items()}
        return {**recognisers, "similarity": self.voices.name, **metrics, **predictors}

    def evaluate(self, waveform: np.ndarray, reference: Profile, source: Profile) -> Scores:
        """Score (samples,) at 16 kHz against the voices of reference and source."""
        own = self.profile(waveform)
        return {
            **_similarity(own, reference, "reference"),
            **_similarity(own, source, "source"),
            **self._distances(own, reference, "reference"),
            **self._distances(own, source, "source"),
            **{one.key: one.predict(waveform) for one in self.predictors},
            **{f"text_{one.key}": one.transcribe(waveform) for one in self.recognisers},
        }

    def profile(self, waveform: np.ndarray) -> Profile:
        """Whose voice speaks in (samples,) at 16 kHz."""
        descriptions = {name: one.describe(waveform) for name, one in self.metrics.items()}
        return Profile(self.voice(waveform), descriptions)

    def _distances(self, own: Profile, other: Profile, whose: str) -> Scores:
        """Of all metrics; none where there is too little speech to tell."""
        found: Scores = {}
        for name, metric in self.metrics.items():
            pair = own.descriptions[name], other.descriptions[name]
            if all(one is not None for one in pair):
                distances = metric.distances(*pair)
                found |= {f"{key}_{whose}": value for key, value in distances.items()}
        return found

    def voice(self, waveform: np.ndarray) -> np.ndarray | None:
        """Embedding of (samples,) at 16 kHz; None for too little speech."""
        try:
            return self.voices.embed(waveform)
        except TooLittleSpeechError:
            return None

    def summarise(self, scores: Mapping[str, Scores], texts: Mapping[str, str]) -> Scores:
        """Means and error rates over utterances, each with a 95% bootstrap interval.

        Utterances without a text do not count in error rates, those with too little speech for a
        voice in what is said of it; without any, there are none.
        """
        rows = list(scores.values())
        keys = [one.key for one in self.predictors]
        summary: Scores = {key: mean_interval([row[key] for row in rows]) for key in keys}
        both = ("similarity_reference", "similarity_source")
        summary |= _means(rows, both)
        closer = [row[both[0]] > row[both[1]] for row in rows if all(one in row for one in both)]
        summary |= _share("closer_to_reference", closer)
        for metric in self.metrics.values():
            summary |= _summarise_distances(rows, list(metric.labels))
        known = [utt_id for utt_id in scores if texts.get(utt_id)]
        for one in self.recognisers if known else ():
            heard = [scores[utt_id][f"text_{one.key}"] for utt_id in known]
            rates = error_rates([texts[utt_id] for utt_id in known], heard, "basic")
            summary |= {f"{rate}_{one.key}": value for rate, value in rates.items()}
        return {"utterances": len(rows), **summary}


def _summarise_distances(rows: Sequence[Scores], keys: Sequence[str]) -> Scores:
    """Means over the utterances that have them, and how many are closer by the first of them."""
    both = (f"{keys[0]}_reference", f"{keys[0]}_source")
    closer = [row[both[0]] < row[both[1]] for row in rows if all(one in row for one in both)]
    means = _means(rows, [f"{key}_reference" for key in keys])
    return means | _share(f"closer_{keys[0]}", closer)


def _similarity(own: Profile, other: Profile, whose: str) -> Scores:
    """Of two voices; nothing where there is too little speech to tell."""
    if own.embedding is None or other.embedding is None:
        return {}
    return {f"similarity_{whose}": similarity(own.embedding, other.embedding)}


def _means(rows: Sequence[Scores], keys: Sequence[str]) -> Scores:
    """Over the utterances that have each, and their number; nothing of what none has."""
    found = {key: [row[key] for row in rows if key in row] for key in keys}
    return {
        key: mean_interval(values) | {"utterances": len(values)}
        for key, values in found.items()
        if values
    }


def _share(key: str, which: Sequence[bool]) -> Scores:
    """How many are so, in percent, and their number; nothing where there is none to tell."""
    if not which:
        return {}
    low, high = share_interval(sum(which), len(which))
    found = {"percent": 100 * sum(which) / len(which), "interval": [100 * low, 100 * high]}
    return {key: {**found, "utterances": len(which)}}


def mean_interval(values: Sequence[float]) -> Scores:
    """A mean over utterances and its interval."""
    rows = np.array(values), np.ones(len(values))
    return {"mean": ratio(*rows), "interval": [*ratio_interval(*rows)], "resamples": RESAMPLES}
