"""Train a recogniser or translator on an experiment's streams and a data dir's texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from entcomp.artifacts.experiment import Experiment
from entcomp.config import resolve_config
from entcomp.errors import EntcompError
from entcomp.evaluation.text.normalizer import normalize
from entcomp.kaldi.datadir import DataDir
from entcomp.pipelines.random_rates import RandomStreams, draw_groups, rate_rules
from entcomp.pipelines.streams import first_embeddings, implied_by, model_name
from entcomp.segmentation import DEFAULT_CRITERION
from entcomp.skipped import SkippedUtterances
from entcomp.tasks import TASKS
from entcomp.tasks.text.config import TextTaskConfig
from entcomp.tasks.text.corpus import (
    Corpus,
    RowDecoder,
    SegmentedStreams,
    StreamSource,
    read_rows,
    read_texts,
)
from entcomp.tasks.text.info import TextInfo
from entcomp.tasks.text.train import TrainedTextModel, train_text_model
from entcomp.training.loop import FitResult
from entcomp.training.ranks import is_first_rank, join_ranks
from entcomp.training.utterances import ArchiveOffset, stored_datasets


@dataclass(frozen=True)
class TextTraining:
    """What to train: ``task`` is ``asr`` or ``st``, ``target`` is ``text`` or ``text.<lang>``.

    What is read says one of ``segmentation`` (``raw``, ``dedup`` or a tag), ``random_rates`` and
    ``learn_boundaries``: units that the model groups itself, at a rate in Hz. ``criterion`` and
    ``peaks`` are those of random rates.
    ``config`` is a YAML file, ``changes`` are values over it, by dotted keys; ``init`` names a
    model of that size to start from, as in ``asr/TAG``. Raises EntcompError unless there is one
    stream.
    """

    task: str
    target: str
    segmentation: str | None = None
    random_rates: str | None = None
    learn_boundaries: float | None = None
    criterion: str | None = None  # None is `DEFAULT_CRITERION`
    peaks: bool = False
    config: Path | None = None
    changes: dict[str, Any] = field(default_factory=dict)
    init: str | None = None
    tag: str | None = None
    skip_bad: bool = False

    def __post_init__(self) -> None:
        streams = (self.segmentation, self.random_rates, self.learn_boundaries)
        if sum(one is not None for one in streams) != 1:
            raise EntcompError(
                "give either --segmentation raw|dedup|TAG or --random-rates LOW-HIGH "
                "or --learn-boundaries HZ"
            )
        if self.random_rates is None and (self.peaks or self.criterion is not None):
            option = "--peaks" if self.peaks else "--criterion"
            raise EntcompError(f"{option} goes with --random-rates; leave it out")

    @property
    def stream(self) -> str:
        """What is read: a segmentation, random rates (``global7-24``) or groups of the model's own.

        The latter are called ``learnt12``, by their rate.
        """
        if self.learn_boundaries is not None:
            return f"learnt{self.learn_boundaries:g}"
        peaks = "_peaks" if self.peaks else ""
        criterion = self.criterion or DEFAULT_CRITERION
        return self.segmentation or f"{criterion}{peaks}{self.random_rates}"

    @property
    def name(self) -> str:
        """What is not the default tells models apart, as in ``fr_rate15_peak_max_seed1``."""
        _, _, lang = self.target.partition(".")
        runs = "runs" if self.changes.get("merge_runs") else ""
        pooling = self.changes.get("local.pooling")
        return model_name(self.tag, self.changes, lang, self.stream, pooling, runs)

    def model_config(self) -> TextTaskConfig:
        """The YAML file, and over it what the stream and the command line say."""
        changes = implied_by(self.segmentation) | self.changes
        if self.learn_boundaries is not None:
            changes["boundaries.target_rate"] = self.learn_boundaries
        config = resolve_config(TASKS[self.task].default_config(), self.config, changes)
        if config.boundaries and self.learn_boundaries is None:
            raise EntcompError(
                "config: boundaries: groups are then the model's own; give --learn-boundaries HZ "
                "instead of other groups"
            )
        return config


def train_text(
    experiment: Experiment, sets: tuple[Sequence[DataDir], Sequence[DataDir]], options: TextTraining
) -> tuple[Path, FitResult]:
    """Train on the first ``sets``, evaluated on the others; returns the model's folder too.

    Prints what is read, and writes EXP/TASK/NAME. Raises EntcompError for what is missing.
    """
    config = options.model_config()
    join_ranks(config.training)
    units = experiment.units_info()
    info = TextInfo(
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
    source: StreamSource
    if options.random_rates:
        criterion = options.criterion or DEFAULT_CRITERION
        rules = rate_rules(experiment, criterion, options.random_rates, options.peaks)
        source, draw = RandomStreams(experiment, rules[0], skipped), partial(draw_groups, rules)
    else:
        source, draw = SegmentedStreams(experiment, options.segmentation or "raw"), None
    rows = (_rows(one, source, options, config, skipped) for one in sets)
    embeddings = first_embeddings(experiment, config.local)
    start = TrainedTextModel.open(experiment, options.init) if options.init else None
    with stored_datasets(folder, *rows, make=RowDecoder(source)) as utterances:
        for part, found in zip(sets, utterances, strict=True):
            if not found:
                where = part[0].path / options.target
                raise EntcompError(
                    f"{where}: no utterance with units and text; run dump-units on these sets"
                )
        train, dev = (Corpus(one, draw) for one in utterances)
        result = train_text_model(folder, info, config, train, dev, embeddings, start)
    if is_first_rank():
        skipped.write(folder / "skipped.txt")
    return folder, result


def _rows(
    sets: Sequence[DataDir],
    source: StreamSource,
    options: TextTraining,
    config: TextTaskConfig,
    skipped: SkippedUtterances,
) -> Iterator[tuple[str | ArchiveOffset, ...]]:
    """Streams and texts of the sets; prints how many."""

    text = config.vocabulary

    def clean(line: str) -> str:
        return normalize(line, text.normalizer, text.lang, text.nlsyms)

    for one in sets:
        texts = read_texts(one, options.target, clean, skipped)
        yield from read_rows(source, one.name, texts, config.longest)
