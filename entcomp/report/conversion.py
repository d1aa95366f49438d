"""Scores of converted voices, as ``score-vc`` wrote them, and a few utterances to listen to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from entcomp.artifacts.experiment import Experiment
from entcomp.artifacts.stage import read_stage
from entcomp.audio.decode import audio_seconds
from entcomp.audio.read import read_utterance, read_wav
from entcomp.evaluation.voices.metrics import distance_labels, main_distances
from entcomp.files import read_json
from entcomp.kaldi.datadir import DataDir, Utterance
from entcomp.kaldi.table import read_table
from entcomp.report.families import family_of
from entcomp.report.result_figures import Point
from entcomp.report.tables import Table

# Neither is a model: the true recording, and what the vocoder makes of its true mel.
BASELINES = ("source", "resynthesis")
VOICES = {
    "similarity_reference": "similarity to reference",
    "similarity_source": "similarity to source",
    "closer_to_reference": "closer to reference (%)",
}
OPINIONS = {
    "distillmos": "DistillMOS",
    "dnsmos": "DNSMOS",
    "utmos": "UTMOS",
}
ERROR_RATES = ("wer_", "cer_")
SAMPLE_RATE = 16_000
SAMPLES = 3
SECONDS = (2.0, 5.0)  # of utterances that are easy to compare


@dataclass(frozen=True)
class ConversionScores:
    """``models`` that judged, by column, and a summary of each of ``systems``: see `Evaluator`.

    ``dependence`` tells of those of the models that had a part in making the speech which one.
    """

    models: Mapping[str, str]
    systems: Mapping[str, Mapping[str, Any]]
    dependence: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """The baselines, then the models, those of the finest streams first."""
        models = [name for name in self.systems if name not in BASELINES]
        models.sort(key=lambda name: (-self.systems[name].get("rate", 0), name))
        return [*BASELINES, *models]

    @property
    def metrics(self) -> list[str]:
        """Columns of scores: error rates, voices, opinions."""
        there = [key for key, one in self.systems[BASELINES[0]].items() if isinstance(one, dict)]
        errors = [key for rate in ERROR_RATES for key in there if key.startswith(rate)]
        known = {**VOICES, **metric_labels(), **OPINIONS}
        voices = [key for key in known if key in there]
        return [*errors, *voices, *sorted(set(there) - {*errors, *voices})]

    def table(self) -> Table:
        """A row a system, as in the paper's table 5; brackets hold 95% bootstrap intervals."""
        rows = []
        for name in self.names:
            one = self.systems[name]
            rate = f"{one['rate']:.1f}" if "rate" in one else ""
            cells = (score_cell(one[key]) if key in one else "" for key in self.metrics)
            rows.append([name, rate, *cells])
        return Table(["system", "Hz", *map(label, self.metrics)], rows)

    def describe(self) -> list[str]:
        """How many utterances there are, which model made each column, and how fair it is."""
        count = self.systems[BASELINES[0]]["utterances"]
        models = (
            f"{key}: {name}" + (f" (not independent: {reason})" if reason else "")
            for key, name in self.models.items()
            for reason in [self.dependence.get(key)]
        )
        return [f"{count} utterances; brackets: 95% bootstrap intervals", *models]

    def markdown(self) -> str:
        return self.table().markdown() + "\n" + "".join(f"- {one}\n" for one in self.describe())

    def points(self, metric: str, experiment: Experiment) -> list[Point]:
        """A score of each model at the rate of its stream; error rates in percent."""
        found = []
        for name in self.names:
            one = self.systems[name]
            if "rate" in one and metric in one:
                kind = experiment.criterion(one["segments"])
                family = family_of(experiment, name, one["segments"])
                value, (low, high) = voice_score(one[metric]), one[metric]["interval"]
                found.append(Point(kind, one["rate"], value, low, high, family))
        return found

    def lines(self, metric: str, points: Sequence[Point]) -> dict[str, list[tuple[float, float]]]:
        """The baselines' scores over the rates of ``points``; a source is itself, which is no news.

        Resynthesis is what a model that knew the true mel would come to.
        """
        rates = sorted(one.rate for one in points)
        names = [name for name in BASELINES if (name, metric) != ("source", "similarity_source")]
        there = [name for name in names if metric in self.systems[name]]
        scores = {name: voice_score(self.systems[name][metric]) for name in there}
        return {name: [(rates[0], one), (rates[-1], one)] for name, one in scores.items()}


@dataclass(frozen=True)
class Sample:
    """One utterance, as everybody says it: waveforms (samples,) at `SAMPLE_RATE` by system.

    ``heard`` is what the first recogniser made of each; it has none of the reference.
    """

    utt_id: str
    text: str
    waveforms: Mapping[str, np.ndarray]
    heard: Mapping[str, str]


def read_conversions(experiment: Experiment, set_name: str) -> ConversionScores | None:
    """What score-vc found for a set; None where it has not run."""
    path = _scores_folder(experiment, set_name) / "scores.json"
    if not path.exists():
        return None
    stored = read_json(path)
    return ConversionScores(stored["models"], stored["systems"], stored.get("dependence", {}))


def read_samples(experiment: Experiment, data_set: DataDir, allow_pipes: bool) -> list[Sample]:
    """The first utterances of a set, of those neither short nor long if there are any.

    Raises EntcompError if the audio of one is gone.
    """
    scores = read_conversions(experiment, data_set.name)
    if scores is None:
        return []
    folder = _scores_folder(experiment, data_set.name)
    judged = {name: read_stage(folder, name)["outputs"] for name in scores.names}
    audio = read_json(folder / "scores.json")["audio"]
    wavs = {name: read_table(Path(audio[name]) / "wav.scp") for name in scores.names[1:]}
    voices = read_table(Path(audio[scores.names[-1]]) / "utt2ref")
    text = data_set.path / "text"
    texts = read_table(text, empty_values=True) if text.exists() else {}
    column = next((f"text_{key}" for key in scores.models if f"wer_{key}" in scores.metrics), "")
    samples = []
    for one in _choose(data_set, wavs["resynthesis"]):
        utt_id = one.utt_id
        paths = {"reference": voices[utt_id], **{name: wavs[name][utt_id] for name in wavs}}
        waveforms = {"source": read_utterance(one, SAMPLE_RATE, allow_pipes)}
        waveforms |= {name: read_wav(Path(path), SAMPLE_RATE) for name, path in paths.items()}
        heard = {name: rows[utt_id].get(column, "") for name, rows in judged.items()}
        samples.append(Sample(utt_id, texts.get(utt_id, ""), waveforms, heard))
    return samples


def _choose(data_set: DataDir, copies: Mapping[str, str]) -> list[Utterance]:
    utterances = [one for one in data_set.utterances() if one.utt_id in copies]
    seconds = {utt_id: audio_seconds(Path(path)) for utt_id, path in copies.items()}
    fitting = [one for one in utterances if SECONDS[0] <= seconds[one.utt_id] <= SECONDS[1]]
    return (fitting or utterances)[:SAMPLES]


def label(metric: str) -> str:
    """A column's name: ``WER (%), moonshine``, say."""
    rate, _, key = metric.partition("_")
    if f"{rate}_" in ERROR_RATES:
        return f"{rate.upper()} (%), {key}"
    return {**VOICES, **metric_labels(), **OPINIONS}.get(metric, metric)


def metric_labels() -> dict[str, str]:
    """The columns of all metrics of voices: distances, and who is closer by the main one."""
    labels = {f"{name}_reference": text for name, text in distance_labels().items()}
    closer = {
        f"closer_{name}": f"closer by {labels[f'{name}_reference'].partition(' to ')[0]} (%)"
        for name in main_distances()
    }
    return {**labels, **closer}


def _scores_folder(experiment: Experiment, set_name: str) -> Path:
    return experiment.task("vc", "scores") / set_name


def voice_score(score: Mapping[str, Any]) -> float:
    """The number of a column: a percentage or a mean."""
    return score["percent"] if "percent" in score else score["mean"]


def score_cell(score: Mapping[str, Any]) -> str:
    """``12.3 [10.1, 14.5]``, or to two places where values are small."""
    value = voice_score(score)
    places = 1 if "percent" in score else 2
    low, high = score["interval"]
    return f"{value:.{places}f} [{low:.{places}f}, {high:.{places}f}]"
