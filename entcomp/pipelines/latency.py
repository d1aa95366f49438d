"""The time from a waveform to its text, stage by stage, one utterance at a time."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch

from entcomp.artifacts.experiment import Experiment
from entcomp.audio.read import read_utterance
from entcomp.errors import EntcompError
from entcomp.evaluation.text.normalizer import normalize
from entcomp.files import write_json, write_text
from entcomp.kaldi.datadir import DataDir, Utterance
from entcomp.kaldi.table import read_table
from entcomp.lm.score import Scorer
from entcomp.pipelines.tokenizer import Tokenizer
from entcomp.progress import track
from entcomp.report.latency import STAGES, describe_latency, latency_table
from entcomp.segmentation.rows import row_of
from entcomp.segmentation.rule import Rule, group_one
from entcomp.tasks.text.search import TextSearch
from entcomp.tasks.text.train import TrainedTextModel
from entcomp.training.evaluation import training_device
from entcomp.units.extractor import extract


@dataclass(frozen=True)
class LatencyBenchmark:
    """What is measured: the first ``utterances``, each ``repeats`` times, after ``warm_up`` ones.

    ``beam`` is instead of the models'; ``cpu_time`` counts what this process computes.
    """

    utterances: int = 50
    warm_up: int = 5
    repeats: int = 1
    beam: int | None = None
    cpu_time: bool = False

    def measure(
        self,
        experiment: Experiment,
        parts: Sequence[DataDir],
        models: Sequence[str],
        checkpoint: Path | None = None,
        allow_pipes: bool = False,
    ) -> str:
        """Write EXP/latency.json and EXP/latency.md, which is returned too.

        Raises EntcompError for a model that is not there, and an utterance without a reference.
        """
        clock = _choose_clock(self.cpu_time)
        sample_rate = experiment.units_info().sample_rate
        chosen = [one for part in parts for one in part.utterances()][: self.utterances]
        paths = {name: _Path.open(experiment, name, self.beam, checkpoint) for name in models}
        pieces = {name: path.count_pieces(parts, chosen) for name, path in paths.items()}
        waveforms = [read_utterance(one, sample_rate, allow_pipes) for one in chosen]
        seconds = sum(map(len, waveforms)) / sample_rate
        laps = _measure(paths, waveforms, pieces, self.warm_up, self.repeats, clock)
        report = {
            "device": _device_name(),
            "clock": "CPU time" if self.cpu_time else "wall clock",
            "utterances": len(waveforms),
            "mean_seconds": seconds / len(waveforms),
            "models": {name: _summarise(laps[name], paths[name], seconds) for name in paths},
        }
        write_json(experiment.path / "latency.json", report)
        page = f"{describe_latency(report)}\n\n{latency_table(report).markdown()}"
        write_text(experiment.path / "latency.md", page)
        return page


def _measure(
    paths: dict[str, _Path],
    waveforms: list[np.ndarray],
    pieces: dict[str, list[int]],
    warm_up: int,
    repeats: int,
    clock: Callable[[], float],
) -> dict[str, list[_StageTimes]]:
    """The laps of each utterance by model: those of the fastest of ``repeats`` rounds."""
    laps: dict[str, list[_StageTimes]] = {name: [] for name in paths}
    order = [*range(len(waveforms))[:warm_up], *range(len(waveforms))]
    for index in track(order, "bench-latency"):
        for name, path in paths.items():
            work = waveforms[index], pieces[name][index]
            rounds = [path.time(*work, clock) for _ in range(repeats)]
            laps[name].append(min(rounds, key=lambda one: sum(one.milliseconds)))
    return {name: found[len(order) - len(waveforms) :] for name, found in laps.items()}


def _summarise(laps: list[_StageTimes], path: _Path, seconds: float) -> dict[str, Any]:
    """Milliseconds of each stage and of all: mean, median, 95th percentile over utterances."""
    times = np.array([[*one.milliseconds, sum(one.milliseconds)] for one in laps])
    median, high = np.percentile(times, [50, 95], axis=0)
    mean = times.mean(axis=0)
    return {
        "beam": path.search.config.beam,
        "rate": sum(one.groups for one in laps) / seconds,
        "pieces": sum(one.pieces for one in laps) / len(laps),
        "milliseconds": {
            name: {
                "mean": float(mean[one]),
                "p50": float(median[one]),
                "p95": float(high[one]),
            }
            for one, name in enumerate((*STAGES, "total"))
        },
    }


@dataclass(frozen=True)
class _StageTimes:
    """Of one utterance: milliseconds of each stage, groups that were made, pieces decoded."""

    milliseconds: list[float]
    groups: int
    pieces: int


@dataclass(frozen=True)
class _Path:
    """All models between a waveform and its text."""

    trained: TrainedTextModel
    tokenizer: Tokenizer
    rule: Rule
    scorers: list[Scorer]
    search: TextSearch

    @classmethod
    def open(
        cls, experiment: Experiment, model: str, beam: int | None, checkpoint: Path | None
    ) -> _Path:
        """Raises EntcompError where a stage has not been run, or was run with another's files."""
        trained = TrainedTextModel.open(experiment, model)
        tokenizer = Tokenizer.open(experiment, checkpoint)
        rule = tokenizer.stored_rule(trained.stream_of(trained.info.segments))
        device = training_device()
        scorers = [Scorer.open(experiment, direction, device) for direction in rule.directions]
        decoding = trained.config.decoding
        config = decoding.model_copy(update={"beam": beam}) if beam else decoding
        search = TextSearch(trained.model, trained.vocabulary, config)
        return cls(trained, tokenizer, rule, scorers, search)

    def count_pieces(self, parts: Sequence[DataDir], utterances: Sequence[Utterance]) -> list[int]:
        """How many text pieces each reference has. Raises EntcompError if there is none."""
        target, text = self.trained.info.target, self.trained.config.vocabulary
        texts: dict[str, str] = {}
        for one in parts:
            texts |= read_table(one.path / target, empty_values=True)
        for utterance in utterances:
            if not texts.get(utterance.utt_id):
                raise EntcompError(
                    f"{utterance.utt_id}: no reference in {target}, and as many pieces as it has "
                    f"are decoded; choose other --sets"
                )
        references = (
            normalize(texts[one.utt_id], text.normalizer, text.lang, text.nlsyms)
            for one in utterances
        )
        return [max(1, len(self.trained.vocabulary.encode(one))) for one in references]

    def time(self, waveform: np.ndarray, pieces: int, clock: Callable[[], float]) -> _StageTimes:
        """Take one waveform through all stages."""
        laps = [clock()]

        def lap() -> None:
            _synchronize()
            laps.append(clock())

        tokenizer = self.tokenizer
        units = tokenizer.codebook.assign(extract(tokenizer.extractor, waveform, "waveform"))
        lap()
        read = [next(scorer.score([("", units)]))[1] for scorer in self.scorers] or [units]
        lap()
        groups = group_one(*row_of("", read), self.rule)
        lap()
        tokens = self.trained.tokens(units, groups)
        states = self.search.encode([tokens])
        lap()
        (found,) = self.search.best(*states, exactly=pieces)
        lap()
        milliseconds = [1000 * (end - begin) for begin, end in pairwise(laps)]
        return _StageTimes(milliseconds, int(states[1]), len(found))


def _choose_clock(cpu_time: bool) -> Callable[[], float]:
    """Seconds that pass, or that this process computes."""
    if not cpu_time:
        return time.perf_counter
    if torch.cuda.is_available() or torch.get_num_threads() > 1:
        raise EntcompError("--cpu-time: is a latency on one thread only; set OMP_NUM_THREADS=1")
    return time.process_time


def _synchronize() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _device_name() -> str:
    """The GPU's name, or the CPU's and how many threads are used."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return f"{next(names, platform.machine())}, threads: {torch.get_num_threads()}"
