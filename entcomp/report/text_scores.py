"""Scores of recognition and translation, as ``decode`` wrote them, for people."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from entcomp.artifacts.experiment import Experiment
from entcomp.artifacts.stage import read_stage
from entcomp.errors import EntcompError
from entcomp.evaluation.text.metric import Metric, score_value
from entcomp.evaluation.text.metrics import METRICS, score_labels
from entcomp.files import read_json
from entcomp.report.families import family_of
from entcomp.report.tables import Table
from entcomp.tasks import TASKS, read_task_info

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TextResult:
    """What a model made of a set.

    ``stream`` names what it read, and how it was decoded where that is not the model's default;
    ``kind`` is ``raw``, ``dedup`` or a criterion, ``family`` as of `family_of`. ``lang`` is empty
    for recognition.
    """

    task: str
    lang: str
    stream: str
    kind: str
    family: str
    rate: float
    scores: Mapping[str, Mapping[str, Any]]

    def value(self, metric: str) -> float:
        return score_value(self.scores[metric])

    def interval(self, metric: str) -> tuple[float, float]:
        low, high = self.scores[metric]["interval"]
        return low, high


def read_text_results(experiment: Experiment, set_name: str, task: str) -> list[TextResult]:
    """Results of ``asr`` or ``st`` on one set, the finest stream first."""
    results = [_read(experiment, *one) for one in decodings(experiment, set_name, task)]
    return sorted(results, key=lambda one: (one.lang, -one.rate, one.stream))


def decodings(experiment: Experiment, set_name: str, task: str) -> list[tuple[Path, str]]:
    """Folders of a set's hypotheses, and in what options each differs from its model's defaults.

    ``decode_test_rate7`` is one of ``test``, by ``rate7``, unless there is a set ``test_rate7``.
    Those of a model that was trained anew since are left out, with a warning.
    """
    sets = [*experiment.sets(), set_name]
    folders = [one.parent for one in experiment.path.glob(f"{task}/*/decode_*/scores.json")]
    start = f"decode_{set_name}"
    return [
        (folder, folder.name.removeprefix(start).strip("_"))
        for folder in sorted(folders)
        if _set_of(folder, sets) == set_name and _is_of_its_model(folder)
    ]


def _is_of_its_model(folder: Path) -> bool:
    """Did the weights that are there now decode this? Where nothing says so, it is believed."""
    made = read_stage(folder)["inputs"].get("weights_sha256")
    trained = read_stage(folder.parent, "training")["outputs"].get("sha256")
    if None in (made, trained) or made == trained:
        return True
    log.warning(f"{folder}: by other weights than {folder.parent} has; left out, run decode again")
    return False


def metric_of(task: str) -> Metric:
    """What scores a task's texts. Raises EntcompError for a task that writes none."""
    metric = TASKS[task].metric
    if metric is None:
        raise EntcompError(f"{task}: it writes no text that could be scored")
    return METRICS[metric]()


def score_table(results: Sequence[TextResult], task: str) -> Table:
    """A row a result, with both scores of its task and their intervals."""
    labels = metric_of(task).labels
    header = ["stream", "Hz"]
    for label in labels.values():
        header += [label, "95%"]
    rows = []
    for one in results:
        cells = [cell for name in labels for cell in _cells(one, name)]
        rows.append([one.stream, f"{one.rate:.1f}", *cells])
    return Table(header, rows)


def by_settings(results: Sequence[TextResult]) -> dict[str, list[TextResult]]:
    """Those that one table can hold, by words that say what was scored and how."""
    found: dict[str, list[TextResult]] = {}
    for one in results:
        metric = metric_of(one.task)
        score = one.scores[next(iter(metric.labels))]
        how = f"{score['utterances']} utterances; {metric.settings(score)}."
        found.setdefault(f"{how} 95%: bootstrap interval over utterances.", []).append(one)
    return found


def summary_table(
    recognition: Sequence[TextResult],
    translation: Sequence[TextResult],
    latency: Mapping[str, Any],
) -> Table:
    """A row a stream: its rate, error rates, BLEU of each language and latency of recognition."""
    found = {(one.lang, one.stream): one for one in [*translation, *recognition]}
    streams = {one.stream: one.rate for one in found.values()}
    langs = sorted({one.lang for one in translation})
    labels = score_labels()
    header = ["stream", "Hz", labels["wer"], "95%", labels["cer"]]
    for lang in langs:
        header += [f"BLEU {lang}", "95%"]
    rows = []
    for stream in sorted(streams, key=lambda name: (-streams[name], name)):
        heard = found.get(("", stream))
        row = [stream, f"{streams[stream]:.1f}", *_cells(heard, "wer"), _cells(heard, "cer")[0]]
        for lang in langs:
            row += _cells(found.get((lang, stream)), "bleu")
        rows.append([*row, *_latency_cells(latency, stream)])
    return Table([*header, "ms p50", "ms p95"], rows)


def summary_notes(recognition: Sequence[TextResult], translation: Sequence[TextResult]) -> str:
    """Lines below `summary_table`: which of a column's scores were made otherwise than others."""
    lines = []
    for lang, own in groupby([*recognition, *translation], lambda one: one.lang):
        ways = by_settings(list(own))
        if len(ways) > 1:
            for how, alike in ways.items():
                streams = ", ".join(one.stream for one in alike)
                lines.append(f"- {lang or 'recognition'}, {streams}: {how}\n")
    return "".join(["\n", *lines]) if lines else ""


def _set_of(folder: Path, sets: Sequence[str]) -> str:
    """The set that ``decode_<set>[_<options>]`` is of: ``test_en`` rather than ``test``."""
    name = folder.name.removeprefix("decode_")
    return max((one for one in sets if f"{name}_".startswith(f"{one}_")), key=len, default="")


def _read(experiment: Experiment, decoded: Path, options: str) -> TextResult:
    model = decoded.parent
    info, scores = read_task_info(model), read_json(decoded / "scores.json")
    lang = info.output.partition(".")[2]
    stream = f"{model.name.removeprefix(f'{lang}_')} {options}".strip()
    segments = read_stage(decoded)["inputs"].get("segments", info.segments)
    kind = experiment.criterion(segments)
    if segments != info.segments:
        kind = f"{kind}, by {info.segments}"  # one model for all rates
    family = family_of(experiment, stream, segments)
    return TextResult(model.parent.name, lang, stream, kind, family, scores.pop("rate"), scores)


def _cells(result: TextResult | None, metric: str) -> list[str]:
    """Score and interval; blank where there is none."""
    if result is None:
        return ["", ""]
    low, high = result.interval(metric)
    return [f"{result.value(metric):.1f}", f"[{low:.1f}, {high:.1f}]"]


def _latency_cells(latency: Mapping[str, Any], stream: str) -> list[str]:
    model = latency.get("models", {}).get(f"asr/{stream}")
    if model is None:
        return ["", ""]
    return [f"{model['milliseconds']['total'][name]:.0f}" for name in ("p50", "p95")]
