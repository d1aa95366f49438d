"""entcomp bench-latency"""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from entcomp.cli.options import AllowPipes, Checkpoint, Data, Exp

if TYPE_CHECKING:
    import numpy as np

    from entcomp.experiment import Experiment
    from entcomp.lm.score import Scorer
    from entcomp.segmentation.rule import Rule
    from entcomp.tasks.text.search import TextSearch
    from entcomp.tokenizer import Tokenizer


def bench_latency(
    data: Data,
    exp: Exp,
    models: Annotated[
        str, typer.Option(metavar="TASK/TAG,...", help="Trained models, divided by commas.")
    ],
    sets: Annotated[str, typer.Option(metavar="NAMES", help="Whose recordings.")] = "test*",
    utterances: Annotated[int, typer.Option(min=1, help="The first so many of them.")] = 50,
    warm_up: Annotated[int, typer.Option(min=0, help="Utterances before the clock runs.")] = 5,
    beam: Annotated[
        int | None,
        typer.Option(min=1, help="Instead of the model's."),
    ] = None,
    checkpoint: Checkpoint = None,
    allow_pipes: AllowPipes = False,
) -> None:
    """Measure the time from a waveform to its text, stage by stage, one utterance at a time.

    Writes EXP/latency.json and EXP/latency.md: median and 95th percentile in milliseconds.
    """
    from entcomp.experiment import Experiment
    from entcomp.files import atomic_path, write_json
    from entcomp.kaldi.datadir import find_sets
    from entcomp.kaldi.wav import read_utterance

    experiment = Experiment(exp)
    sample_rate = experiment.units_info().sample_rate
    chosen = [one for part in find_sets(data, sets) for one in part.utterances()][:utterances]
    waveforms = [read_utterance(one, sample_rate, allow_pipes) for one in chosen]
    seconds = sum(map(len, waveforms)) / sample_rate
    report: dict[str, Any] = {
        "device": _device_name(),
        "utterances": len(waveforms),
        "mean_seconds": seconds / len(waveforms),
        "models": {},
    }
    for model in models.split(","):
        timings = _measure(experiment, model.strip(), waveforms, warm_up, beam, checkpoint)
        report["models"][model.strip()] = timings
    write_json(exp / "latency.json", report)
    with atomic_path(exp / "latency.md") as temporary:
        temporary.write_text(_markdown(report), encoding="utf-8")
    print(_markdown(report), end="")


def _measure(
    experiment: Experiment,
    model: str,
    waveforms: list[np.ndarray],
    warm_up: int,
    beam: int | None,
    checkpoint: Path | None,
) -> dict[str, Any]:
    """Milliseconds of each stage and of all: median and 95th percentile over utterances."""
    import numpy as np

    from entcomp.report.latency import STAGES

    path = _Path.open(experiment, model, beam, checkpoint)
    for waveform in waveforms[:warm_up]:
        path.time(waveform)
    rows = np.array([path.time(waveform) for waveform in waveforms])
    times = np.column_stack([rows[:, :-1], rows[:, :-1].sum(axis=1)])
    median, high = np.percentile(times, [50, 95], axis=0)
    seconds = sum(map(len, waveforms)) / experiment.units_info().sample_rate
    return {
        "beam": path.search.config.beam,
        "rate": rows[:, -1].sum() / seconds,
        "milliseconds": {
            name: {"p50": float(median[one]), "p95": float(high[one])}
            for one, name in enumerate((*STAGES, "total"))
        },
    }


@dataclass(frozen=True)
class _Path:
    """All models between a waveform and its text."""

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
        from entcomp.tasks.text.search import TextSearch
        from entcomp.tasks.text.train import TrainedTextModel
        from entcomp.tokenizer import Tokenizer
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
        return cls(tokenizer, rule, scorers, TextSearch(trained.model, trained.vocabulary, config))

    def time(self, waveform: np.ndarray) -> list[float]:
        """Milliseconds of the stages, and the number of groups, for one waveform."""
        from entcomp.encoder.packed import group_tokens
        from entcomp.segmentation.rows import Rows
        from entcomp.segmentation.rule import group_starts
        from entcomp.units.extractor import extract

        laps = [time.perf_counter()]

        def lap() -> None:
            _synchronize()
            laps.append(time.perf_counter())

        tokenizer = self.tokenizer
        units = tokenizer.codebook.assign(extract(tokenizer.extractor, waveform, "waveform"))
        lap()
        read = [next(scorer.score([("", units)]))[1] for scorer in self.scorers] or [units]
        lap()
        rows = Rows.join([("", read[0], read[1] if len(read) > 1 else None)])
        ((_, groups),) = rows.split(group_starts(rows, self.rule))
        lap()
        states = self.search.encode(
            group_tokens(units, groups, self.search.model.config.merge_runs)
        )
        lap()
        self.search.best(states)
        lap()
        return [1000 * (end - begin) for begin, end in pairwise(laps)] + [len(groups)]


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
    return f"{next(names, platform.machine())}, {torch.get_num_threads()} threads"


def _markdown(report: dict[str, Any]) -> str:
    from entcomp.report.latency import describe_latency, latency_table

    return f"{describe_latency(report)}\n\n{latency_table(report).markdown()}"
