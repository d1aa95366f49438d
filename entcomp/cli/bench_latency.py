"""entcomp bench-latency"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from entcomp.cli.options import AllowPipes, Checkpoint, Data, Exp

if TYPE_CHECKING:
    import numpy as np

    from entcomp.artifacts.experiment import Experiment
    from entcomp.kaldi.datadir import DataDir, Utterance
    from entcomp.lm.score import Scorer
    from entcomp.pipelines.tokenizer import Tokenizer
    from entcomp.segmentation.rule import Rule
    from entcomp.tasks.text.search import TextSearch
    from entcomp.tasks.text.train import TrainedTextModel


def bench_latency(
    data: Data,
    exp: Exp,
    models: Annotated[
        str, typer.Option(metavar="TASK/TAG,...", help="Trained models, divided by commas.")
    ],
    sets: Annotated[str, typer.Option(metavar="NAMES", help="Whose recordings.")] = "test*",
    utterances: Annotated[int, typer.Option(min=1, help="The first so many of them.")] = 50,
    warm_up: Annotated[int, typer.Option(min=0, help="Utterances before the clock runs.")] = 5,
    repeats: Annotated[
        int, typer.Option(min=1, help="Take each time so often, and count the shortest.")
    ] = 1,
    beam: Annotated[
        int | None,
        typer.Option(min=1, help="Instead of the model's."),
    ] = None,
    cpu_time: Annotated[
        bool,
        typer.Option("--cpu-time", help="Count what one thread works: for a busy machine."),
    ] = False,
    checkpoint: Checkpoint = None,
    allow_pipes: AllowPipes = False,
) -> None:
    """Measure the time from a waveform to its text, stage by stage, one utterance at a time.

    Every model decodes as many text pieces as the reference has, so that the time does not depend
    on how well it was trained; with CTC, at most as many as there are groups. The models take
    turns, so that what else the machine does slows all of them.
    Writes EXP/latency.json and EXP/latency.md: median and 95th percentile in milliseconds.
    """
    from entcomp.artifacts.experiment import Experiment
    from entcomp.audio.read import read_utterance
    from entcomp.files import atomic_path, write_json
    from entcomp.kaldi.datadir import find_sets

    experiment, clock = Experiment(exp), _choose_clock(cpu_time)
    sample_rate = experiment.units_info().sample_rate
    parts = find_sets(data, sets)
    chosen = [one for part in parts for one in part.utterances()][:utterances]
    paths = {}
    for model in models.split(","):
        paths[model.strip()] = _Path.open(experiment, model.strip(), beam, checkpoint)
    pieces = {name: path.count_pieces(parts, chosen) for name, path in paths.items()}
    waveforms = [read_utterance(one, sample_rate, allow_pipes) for one in chosen]
    seconds = sum(map(len, waveforms)) / sample_rate
    laps = _measure(paths, waveforms, pieces, warm_up, repeats, clock)
    report = {
        "device": _device_name(),
        "clock": "CPU time" if cpu_time else "wall clock",
        "utterances": len(waveforms),
        "mean_seconds": seconds / len(waveforms),
        "models": {name: _summarise(laps[name], paths[name], seconds) for name in paths},
    }
    write_json(exp / "latency.json", report)
    with atomic_path(exp / "latency.md") as temporary:
        temporary.write_text(_markdown(report), encoding="utf-8")
    print(_markdown(report), end="")


def _measure(
    paths: dict[str, _Path],
    waveforms: list[np.ndarray],
    pieces: dict[str, list[int]],
    warm_up: int,
    repeats: int,
    clock: Callable[[], float],
) -> dict[str, list[_Laps]]:
    """The laps of each utterance by model: those of the fastest of ``repeats`` rounds."""
    from entcomp.progress import track

    laps: dict[str, list[_Laps]] = {name: [] for name in paths}
    order = [*range(len(waveforms))[:warm_up], *range(len(waveforms))]
    for index in track(order, "bench-latency"):
        for name, path in paths.items():
            work = waveforms[index], pieces[name][index]
            rounds = [path.time(*work, clock) for _ in range(repeats)]
            laps[name].append(min(rounds, key=lambda one: sum(one.milliseconds)))
    return {name: found[len(order) - len(waveforms) :] for name, found in laps.items()}


def _summarise(laps: list[_Laps], path: _Path, seconds: float) -> dict[str, Any]:
    """Milliseconds of each stage and of all: median and 95th percentile over utterances."""
    import numpy as np

    from entcomp.report.latency import STAGES

    times = np.array([[*one.milliseconds, sum(one.milliseconds)] for one in laps])
    median, high = np.percentile(times, [50, 95], axis=0)
    return {
        "beam": path.search.config.beam,
        "rate": sum(one.groups for one in laps) / seconds,
        "pieces": sum(one.pieces for one in laps) / len(laps),
        "milliseconds": {
            name: {"p50": float(median[one]), "p95": float(high[one])}
            for one, name in enumerate((*STAGES, "total"))
        },
    }


@dataclass(frozen=True)
class _Laps:
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
        from entcomp.lm.checkpoint import load_lm
        from entcomp.lm.score import BATCH_TOKENS, Scorer
        from entcomp.pipelines.tokenizer import Tokenizer
        from entcomp.tasks.text.search import TextSearch
        from entcomp.tasks.text.train import TrainedTextModel
        from entcomp.training.evaluation import training_device

        trained = TrainedTextModel.load(experiment.path / model)
        trained.info.check_units(experiment.units_info(), trained.folder)
        tokenizer = Tokenizer.open(experiment, checkpoint)
        rule = tokenizer.stored_rule(trained.info.segments)
        device = training_device()
        scorers = [
            Scorer(*load_lm(experiment, direction), device, BATCH_TOKENS[device.type])
            for direction in rule.directions
        ]
        decoding = trained.config.decoding
        config = decoding.model_copy(update={"beam": beam}) if beam else decoding
        search = TextSearch(trained.model, trained.vocabulary, config)
        return cls(trained, tokenizer, rule, scorers, search)

    def count_pieces(self, parts: list[DataDir], utterances: list[Utterance]) -> list[int]:
        """How many text pieces each reference has. Raises EntcompError if there is none."""
        from entcomp.errors import EntcompError
        from entcomp.evaluation.text.normalizer import normalize
        from entcomp.kaldi.table import read_table

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

    def time(self, waveform: np.ndarray, pieces: int, clock: Callable[[], float]) -> _Laps:
        """Take one waveform through all stages."""
        from entcomp.encoder.packed import group_tokens
        from entcomp.segmentation.rows import Rows
        from entcomp.segmentation.rule import group_starts
        from entcomp.units.extractor import extract

        laps = [clock()]

        def lap() -> None:
            _synchronize()
            laps.append(clock())

        tokenizer = self.tokenizer
        units = tokenizer.codebook.assign(extract(tokenizer.extractor, waveform, "waveform"))
        lap()
        read = [next(scorer.score([("", units)]))[1] for scorer in self.scorers] or [units]
        lap()
        rows = Rows.join([("", read[0], read[1] if len(read) > 1 else None)])
        ((_, groups),) = rows.split(group_starts(rows, self.rule))
        lap()
        tokens = group_tokens(units, groups, self.search.model.config.merge_runs)
        states = self.search.encode([tokens])
        lap()
        (found,) = self.search.best(*states, exactly=pieces)
        lap()
        milliseconds = [1000 * (end - begin) for begin, end in pairwise(laps)]
        return _Laps(milliseconds, len(groups), len(found))


def _choose_clock(cpu_time: bool) -> Callable[[], float]:
    """Seconds that pass, or that this process computes."""
    import torch

    from entcomp.errors import EntcompError

    if not cpu_time:
        return time.perf_counter
    if torch.cuda.is_available() or torch.get_num_threads() > 1:
        raise EntcompError("--cpu-time: is a latency on one thread only; set OMP_NUM_THREADS=1")
    return time.process_time


def _synchronize() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _device_name() -> str:
    """The GPU's name, or the CPU's and how many threads are used."""
    import platform

    import torch

    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return f"{next(names, platform.machine())}, threads: {torch.get_num_threads()}"


def _markdown(report: dict[str, Any]) -> str:
    from entcomp.report.latency import describe_latency, latency_table

    return f"{describe_latency(report)}\n\n{latency_table(report).markdown()}"
