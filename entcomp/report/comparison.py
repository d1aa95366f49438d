"""Scores of every stream over all seeds, beside those of one stream: what conclusions rest on."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from entcomp.artifacts.experiment import Experiment
from entcomp.errors import EntcompError, LackingError
from entcomp.evaluation.bootstrap import SeedSpread, percentile_interval, resampled_sums
from entcomp.evaluation.text.metric import Metric, Statistics, TextOptions
from entcomp.files import read_json
from entcomp.kaldi.datadir import DataDir
from entcomp.kaldi.table import read_table
from entcomp.report.families import SEED
from entcomp.report.tables import Table
from entcomp.report.text_scores import decodings, metric_of
from entcomp.tasks import read_task_info

EXPLANATION = (
    "All texts are scored as the baseline's were. Scores are means over seeds; intervals (95%) are "
    "over utterances and seeds. How much seeds differ is told from all streams that have several, "
    "and taken to be so of the others; where no stream has, intervals are over utterances only."
)


@dataclass(frozen=True)
class SeedScores:
    """One score of S models that differ in their seed: (S,), and resampled, (RESAMPLES,).

    Resampled are utterances, alike for all streams, so that these are paired; `with_seeds` adds
    what other seeds may come to.
    """

    each_S: np.ndarray
    drawn_R: np.ndarray

    @property
    def mean(self) -> float:
        return float(self.each_S.mean())

    @classmethod
    def of(cls, models: list[Statistics]) -> SeedScores:
        each = [one.score(one.counts.sum(axis=0, keepdims=True))[0] for one in models]
        drawn = [one.score(resampled_sums(one.counts)) for one in models]
        return cls(np.array(each), np.mean(drawn, axis=0))

    def with_seeds(self, spread: SeedSpread, seed: int) -> SeedScores:
        """``seed`` is the stream's own, so that streams have seeds of their own."""
        moved = spread.of_mean(len(self.each_S), seed)
        return replace(self, drawn_R=self.drawn_R + moved)

    def cell(self) -> str:
        return _cell(self.mean, self.drawn_R)

    def beside(self, other: SeedScores) -> str:
        """The difference to the same score of another stream; blank beside itself."""
        if other is self:
            return ""
        return _cell(self.mean - other.mean, self.drawn_R - other.drawn_R, sign="+")


def comparison_table(
    experiment: Experiment, data_set: DataDir, task: str, lang: str | None, baseline: str
) -> Table:
    """A row a stream, the finest first: scores as means over seeds, beside ``baseline``.

    A stream is what models called ``<stream>[_seed<N>]`` read; where they read other groups than in
    training, or search otherwise, this follows its name. All are scored by the normaliser, language
    and symbols of the baseline. Raises LackingError where the baseline was not decoded, and
    EntcompError where another model did not decode an utterance that it did.
    """
    metric = metric_of(task)
    target = f"text.{lang}" if lang else "text"
    decoded = _decoded(experiment, data_set.name, task)
    streams = decoded.get(target, {})
    if baseline not in streams:
        raise LackingError(
            f"{experiment.path / task}: no {baseline} that decoded {data_set.name} to {target}; "
            f"{_remedy(decoded, target)}"
        )
    references = _references(data_set.path / target, streams[baseline][0])
    options = _text_options(metric, streams[baseline][0])
    found = _scores(
        {
            name: [_statistics(metric, references, one, options) for one in folders]
            for name, folders in streams.items()
        }
    )
    rows = []
    for name, scores in found.items():
        row = [name, f"{read_json(streams[name][0] / 'scores.json')['rate']:.1f}"]
        for number, score in enumerate(metric.labels):
            row += [scores[score].cell(), scores[score].beside(found[baseline][score])]
            if number == 0:
                row.append(" ".join(f"{one:.1f}" for one in scores[score].each_S))
        rows.append(row)
    rows.sort(key=lambda row: (-float(row[1]), row[0]))
    first, *others = metric.labels.values()
    header = ["stream", "Hz", first, f"beside {baseline}", "by seed"]
    for label in others:
        header += [label, f"beside {baseline}"]
    return Table(header, rows)


def _decoded(experiment: Experiment, set_name: str, task: str) -> dict[str, dict[str, list[Path]]]:
    """Folders of the set's hypotheses by target and stream, in order of their seeds."""
    found: dict[str, dict[str, list[Path]]] = {}
    for folder, options in decodings(experiment, set_name, task):
        target = read_task_info(folder.parent).output
        name = SEED.sub("", folder.parent.name.removeprefix(f"{target.partition('.')[2]}_"))
        streams = found.setdefault(target, {})
        streams.setdefault(f"{name} {options}".strip(), []).append(folder)
    return found


def _remedy(decoded: Mapping[str, Iterable[str]], target: str) -> str:
    """What to do without a baseline, by the streams of each target that there are."""
    if target in decoded:
        return f"train and decode it, or name another --baseline: {', '.join(decoded[target])}"
    langs = {one.partition(".")[2]: ", ".join(streams) for one, streams in decoded.items()}
    there = "; ".join(f"{lang} ({streams})" for lang, streams in sorted(langs.items()) if lang)
    return f"name another --lang: {there}" if there else "train and decode it"


def _references(path: Path, decoded: Path) -> dict[str, str]:
    """Those of the utterances that were decoded."""
    hypotheses = read_table(decoded / "text", empty_values=True)
    references = read_table(path, empty_values=True)
    return {utt_id: text for utt_id, text in references.items() if utt_id in hypotheses}


def _text_options(metric: Metric, folder: Path) -> TextOptions:
    """How `decode` scored what it wrote to ``folder``."""
    scored: dict[str, Any] = read_json(folder / "scores.json")[next(iter(metric.labels))]
    known = ("normalizer", "lang", "nlsyms")
    return TextOptions(**{name: scored[name] for name in known if name in scored})


def _statistics(
    metric: Metric, references: dict[str, str], folder: Path, options: TextOptions
) -> dict[str, Statistics]:
    """Of what was decoded to ``folder``."""
    hypotheses = read_table(folder / "text", empty_values=True)
    missing = sorted(references.keys() - hypotheses.keys())
    if missing:
        raise EntcompError(f"{folder / 'text'}: no {missing[0]}; decode the set again")
    texts = [hypotheses[utt_id] for utt_id in references]
    return metric.statistics(list(references.values()), texts, options)


def _scores(
    streams: Mapping[str, list[dict[str, Statistics]]],
) -> dict[str, dict[str, SeedScores]]:
    """By stream and score, from the statistics of each stream's models."""
    found: dict[str, dict[str, SeedScores]] = {name: {} for name in streams}
    for score in next(iter(streams.values()))[0]:
        plain = {
            name: SeedScores.of([one[score] for one in models]) for name, models in streams.items()
        }
        spread = SeedSpread.of(one.each_S for one in plain.values())
        for name, scores in plain.items():
            found[name][score] = scores.with_seeds(spread, zlib.crc32(name.encode()))
    return found


def _cell(value: float, drawn_R: np.ndarray, sign: str = "") -> str:
    low, high = percentile_interval(drawn_R, value)
    return f"{value:{sign}.1f} [{low:{sign}.1f}, {high:{sign}.1f}]"
