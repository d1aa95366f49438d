"""What train-asr and train-st share, and how a model's options become its name and its data."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from entcomp.cli.options import given
from entcomp.pipelines.random_rates import draw_groups, random_streams, rate_rules

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

    from entcomp.artifacts.experiment import Experiment
    from entcomp.encoder.local import LocalEncoderConfig
    from entcomp.kaldi.datadir import DataDir
    from entcomp.segmentation.rule import Rule
    from entcomp.skipped import SkippedUtterances
    from entcomp.tasks.text.config import TextTaskConfig
    from entcomp.tasks.text.corpus import Stream

Segments = Annotated[
    str | None,
    typer.Option(metavar="raw|dedup|TAG", help="The stream: plain units, or groups in EXP."),
]
Pooling = Annotated[
    str | None,
    typer.Option(
        metavar="cale|max|average|attention",
        help="How a group becomes a vector; by default as in the config, for raw and dedup max.",
    ),
]
MergeRuns = Annotated[
    bool | None,
    typer.Option(help="Merge equal units within a group into one token with a duration."),
]
ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", metavar="YAML", help="See conf/; by default the small model."),
]
Tag = Annotated[
    str | None,
    typer.Option(help="Name of the model; it names itself by default."),
]
RandomRates = Annotated[
    str | None,
    typer.Option(metavar="LOW-HIGH", help="Draw each utterance's rate in Hz anew, as in 7-24."),
]
Criterion = Annotated[str, typer.Option(help="What groups --random-rates draws; see segment.")]
TrainSets = Annotated[str, typer.Option("--sets", metavar="NAMES", help="Sets to train on.")]
DevSets = Annotated[str, typer.Option(metavar="NAMES", help="Sets that decide what is kept.")]
MaxSteps = Annotated[
    int | None,
    typer.Option(help="Steps to train; by default as in the config."),
]
TrainSeed = Annotated[
    int | None,
    typer.Option("--seed", help="Seed of weights and batches; by default as in the config."),
]


@dataclass(frozen=True)
class TrainingOptions:
    """The command line of train-asr and train-st; ``target`` is ``text`` or ``text.<lang>``."""

    task: str
    target: str
    sets: str
    dev_sets: str
    segments: str | None
    pooling: str | None
    merge_runs: bool | None
    config: Path | None
    tag: str | None
    random_rates: str | None
    criterion: str
    max_steps: int | None
    seed: int | None
    devices: int | None
    num_nodes: int | None
    skip_bad: bool

    @property
    def stream(self) -> str:
        """What is read: the segments' tag, or what is drawn at random, as in ``global7-24``."""
        return self.segments or f"{self.criterion}{self.random_rates}"

    @property
    def name(self) -> str:
        """What is not the default tells models apart, as in ``fr_rate15_peak_max_seed1``."""
        _, _, lang = self.target.partition(".")
        runs = "runs" if self.merge_runs else ""
        seed = f"seed{self.seed}" if self.seed else ""
        parts = (lang, self.stream, self.pooling, runs, seed)
        return self.tag or "_".join(part for part in parts if part)

    def model_config(self) -> TextTaskConfig:
        """The YAML file, and over it what the command line says."""
        from entcomp.artifacts.streams import PLAIN_STREAMS
        from entcomp.config import load_config, make_config
        from entcomp.tasks.text.config import TextTaskConfig, default_config

        default = default_config(self.task)
        config = load_config(TextTaskConfig, self.config) if self.config else default
        values = config.model_dump()
        # A group of plain units is one token: there is nothing to pool.
        pooling = self.pooling or ("max" if self.segments in PLAIN_STREAMS else None)
        values["local"] |= {"pooling": pooling} if pooling else {}
        values["merge_runs"] |= self.segments == "dedup"
        values |= {"merge_runs": self.merge_runs} if self.merge_runs is not None else {}
        values["training"] |= given(
            max_steps=self.max_steps,
            seed=self.seed,
            devices=self.devices,
            num_nodes=self.num_nodes,
        )
        return make_config(TextTaskConfig, values, source=str(self.config or "options"))


def train(data: Path, exp: Path, options: TrainingOptions) -> None:
    """Train, the corpora lying on disk, and print what came of it."""
    from entcomp.artifacts.experiment import Experiment
    from entcomp.errors import EntcompError
    from entcomp.kaldi.datadir import find_sets
    from entcomp.skipped import SkippedUtterances
    from entcomp.tasks.text.corpus import Corpus
    from entcomp.tasks.text.train import TaskInfo, train_text_model
    from entcomp.training.ranks import is_first_rank, meet
    from entcomp.training.spill import spill_both

    if (options.segments is None) == (options.random_rates is None):
        raise EntcompError("give either --segments raw|dedup|TAG or --random-rates LOW-HIGH")
    experiment, config = Experiment(exp), options.model_config()
    meet(config.training)
    units = experiment.units_info()
    sets = find_sets(data, options.sets), find_sets(data, options.dev_sets)
    info = TaskInfo(
        task=options.task,
        target=options.target,
        segments=options.stream,
        train_sets=[one.name for one in sets[0]],
        dev_sets=[one.name for one in sets[1]],
        num_clusters=units.num_clusters,
        frame_shift=units.frame_shift,
        codebook_sha256=units.codebook_sha256,
    )
    skipped = SkippedUtterances(options.skip_bad)
    folder = experiment.task(options.task, options.name)
    rules = []
    if options.random_rates:
        rules = rate_rules(experiment, options.criterion, options.random_rates)
    draw = partial(draw_groups, rules) if rules else None
    rows = (_read(experiment, one, options, config, rules, skipped) for one in sets)
    centroids = first_embeddings(experiment, config.local)
    with spill_both(folder, *rows) as spilled:
        for part, found in zip(sets, spilled, strict=True):
            if not found:
                where = part[0].path / options.target
                raise EntcompError(f"{where}: no utterance with units and text")
        train, dev = (Corpus(one, draw) for one in spilled)
        result = train_text_model(folder, info, config, train, dev, centroids)
    if is_first_rank():
        skipped.write(folder / "skipped.txt")
    metrics = ", ".join(f"{name} {value:.4f}" for name, value in result.metrics.items())
    print(f"{folder}: step {result.step}, dev {metrics}")


def first_embeddings(experiment: Experiment, local: LocalEncoderConfig) -> np.ndarray | None:
    """The codebook's centroids (K, features), if a model's embeddings are to begin from them."""
    from entcomp.units.codebook import Codebook

    from_codebook = local.embedding == "codebook"
    return Codebook.read(experiment.checked_codebook()).centroids if from_codebook else None


def _read(
    experiment: Experiment,
    sets: list[DataDir],
    options: TrainingOptions,
    config: TextTaskConfig,
    rules: list[Rule],
    skipped: SkippedUtterances,
) -> Iterator[tuple[Stream, str]]:
    """Streams and texts of the sets; prints how many."""
    from entcomp.artifacts.streams import read_streams
    from entcomp.evaluation.text.normalizer import normalize
    from entcomp.tasks.text.corpus import Stream, pair, read_texts

    def clean(text: str) -> str:
        return normalize(text, config.vocabulary.normalizer)

    def streams(set_name: str) -> Iterator[Stream]:
        if not options.segments:
            return random_streams(experiment, set_name, rules[0], skipped)
        return (Stream(*row) for row in read_streams(experiment, set_name, options.segments))

    for one in sets:
        texts = read_texts(one, options.target, clean, skipped)
        yield from pair(streams(one.name), texts, config.longest, one.name)
