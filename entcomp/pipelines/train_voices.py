"""Train a voice converter on an experiment's streams and a data dir's recordings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from entcomp.artifacts.experiment import Experiment
from entcomp.artifacts.stage import archive_sha256
from entcomp.artifacts.streams import check_stream, stream_sha256
from entcomp.config import resolve_config
from entcomp.errors import EntcompError
from entcomp.evaluation.voices.speaker import write_embeddings
from entcomp.kaldi.datadir import DataDir
from entcomp.pipelines.streams import first_embeddings, implied_by, model_name
from entcomp.skipped import SkippedUtterances
from entcomp.tasks.vc.config import VcConfig
from entcomp.tasks.vc.corpus import RowDecoder, read_rows
from entcomp.tasks.vc.info import RESERVED, VcInfo
from entcomp.tasks.vc.train import train_voice_converter
from entcomp.training.loop import FitResult
from entcomp.training.ranks import check_share, first_rank_first, is_first_rank, join_ranks
from entcomp.training.utterances import stored_datasets


@dataclass(frozen=True)
class VoiceTraining:
    """What to train: ``segmentation`` is ``raw``, ``dedup`` or a tag.

    ``config`` is a YAML file, ``changes`` are values over it, by dotted keys; ``init`` names a
    converter of that size to start from, as in ``vc/TAG``.
    """

    segmentation: str
    config: Path | None = None
    changes: dict[str, Any] = field(default_factory=dict)
    init: str | None = None
    tag: str | None = None
    skip_bad: bool = False
    allow_pipes: bool = False

    @property
    def name(self) -> str:
        """What is not the default tells models apart, as in ``rate24_global_repeat_seed1``.

        Raises EntcompError for a tag that score-vc needs for something else.
        """
        if self.tag in RESERVED:
            raise EntcompError(f"--tag {self.tag}: score-vc has its own {self.tag}; name another")
        pooling, layout = (self.changes.get(key) for key in ("local.pooling", "layout"))
        return model_name(self.tag, self.changes, self.segmentation, pooling, layout)

    def model_config(self) -> VcConfig:
        """The YAML file, and over it what the stream and the command line say."""
        return resolve_config(VcConfig(), self.config, implied_by(self.segmentation) | self.changes)


def train_voices(
    experiment: Experiment,
    sets: tuple[Sequence[DataDir], Sequence[DataDir]],
    options: VoiceTraining,
) -> tuple[Path, FitResult]:
    """Train on the first ``sets``, evaluated on the others; returns the model's folder too.

    Prints what is read, and writes EXP/vc/NAME. Voices are embedded where they are not yet, which
    reads all recordings. Raises EntcompError for what is missing, and for bad audio unless that is
    skipped.
    """
    units = experiment.units_info()
    check_stream(experiment, options.segmentation)
    config = options.model_config()
    check_share(config.batch.size, config.training)
    join_ranks(config.training)
    info = VcInfo(
        segments=options.segmentation,
        train_sets=[one.name for one in sets[0]],
        dev_sets=[one.name for one in sets[1]],
        num_clusters=units.num_clusters,
        codebook_sha256=units.codebook_sha256,
    )
    folder = experiment.task("vc", options.name)
    start = experiment.task("vc", options.init.removeprefix("vc/")) if options.init else None
    skipped = SkippedUtterances(options.skip_bad)
    with first_rank_first():
        for one in (*sets[0], *sets[1]):
            made = write_embeddings(one, experiment.voices(one.name), skipped, options.allow_pipes)
            print(f"{one.name}: {made or 'voices complete, skipped'}")
    rows = (_rows(experiment, one, options, skipped) for one in sets)
    embeddings = first_embeddings(experiment, config.local)
    with stored_datasets(folder, *rows, make=RowDecoder(options.segmentation)) as (train, dev):
        hashes = _hashes(experiment, sets, options.segmentation)
        if skipped:
            hashes["--skip-bad"] = sorted(skipped.reasons)
        result = train_voice_converter(
            folder,
            info,
            config,
            units,
            train,
            dev,
            hashes,
            start,
            embeddings,
            options.allow_pipes,
        )
    if is_first_rank():
        skipped.write(folder / "skipped.txt")
    return folder, result


def _rows(
    experiment: Experiment,
    sets: Sequence[DataDir],
    options: VoiceTraining,
    skipped: SkippedUtterances,
) -> Iterator[list[Any]]:
    """The utterances of sets, less those that are skipped."""
    for one in sets:
        scp = experiment.voices(one.name) / "speaker.scp"
        rows = read_rows(experiment, one, options.segmentation, scp, options.allow_pipes)
        yield from (row for row in rows if row[0] not in skipped.reasons)


def _hashes(
    experiment: Experiment,
    sets: tuple[Sequence[DataDir], Sequence[DataDir]],
    segmentation: str,
) -> dict[str, Any]:
    """What names the content of each set: its audio, voices, units and groups."""
    return {
        one.name: [
            one.audio_sha256(),
            archive_sha256(experiment.voices(one.name), "speaker"),
            *stream_sha256(experiment, one.name, segmentation),
        ]
        for group in sets
        for one in group
    }
