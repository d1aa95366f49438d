"""entcomp train-vc"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from entcomp.cli.options import AllowPipes, Data, Devices, Exp, NumNodes, given
from entcomp.cli.text_task import (
    ConfigFile,
    DevSets,
    MaxSteps,
    MergeRuns,
    Pooling,
    Tag,
    TrainSeed,
    TrainSets,
    first_embeddings,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from entcomp.artifacts.experiment import Experiment
    from entcomp.kaldi.datadir import DataDir
    from entcomp.tasks.vc.config import VcConfig


def train_vc(
    data: Data,
    exp: Exp,
    segments: Annotated[
        str, typer.Option(metavar="raw|dedup|TAG", help="The stream: plain units, or groups.")
    ],
    pooling: Pooling = None,
    merge_runs: MergeRuns = None,
    layout: Annotated[
        str | None,
        typer.Option(metavar="zero_insert|repeat", help="How groups are laid on mel frames."),
    ] = None,
    config: ConfigFile = None,
    init: Annotated[
        str | None,
        typer.Option(metavar="vc/TAG", help="Start from the weights of a converter of that size."),
    ] = None,
    tag: Tag = None,
    sets: TrainSets = "train*",
    dev_sets: DevSets = "dev*",
    max_steps: MaxSteps = None,
    seed: TrainSeed = None,
    devices: Devices = None,
    num_nodes: NumNodes = None,
    allow_pipes: AllowPipes = False,
) -> None:
    """Train a voice converter of compressed units: EXP/vc/TAG."""
    from entcomp.artifacts.experiment import Experiment
    from entcomp.artifacts.streams import check_segments
    from entcomp.kaldi.datadir import find_sets
    from entcomp.tasks.utterances import stored
    from entcomp.tasks.vc.corpus import ReadAgain
    from entcomp.tasks.vc.train import VcInfo, train_voice_converter
    from entcomp.training.ranks import meet

    experiment = Experiment(exp)
    units = experiment.units_info()
    check_segments(experiment, segments)
    chosen = find_sets(data, sets), find_sets(data, dev_sets)
    training = given(max_steps=max_steps, seed=seed, devices=devices, num_nodes=num_nodes)
    resolved = _resolve(segments, config, pooling, merge_runs, layout, training)
    meet(resolved.training)
    info = VcInfo(
        segments=segments,
        train_sets=[one.name for one in chosen[0]],
        dev_sets=[one.name for one in chosen[1]],
        num_clusters=units.num_clusters,
        codebook_sha256=units.codebook_sha256,
    )
    parts = [segments, pooling, layout, f"seed{seed}" if seed else None]
    folder = experiment.task("vc", tag or "_".join(part for part in parts if part))
    start = experiment.task("vc", init.removeprefix("vc/")) if init else None
    rows = (_rows(experiment, one, segments, allow_pipes) for one in chosen)
    centroids = first_embeddings(experiment, resolved.local)
    with stored(folder, *rows, make=ReadAgain(segments)) as (train, dev):
        hashes = _hashes(experiment, chosen, segments)  # of voices too, which are there by now
        result = train_voice_converter(
            folder,
            info,
            resolved,
            units,
            train,
            dev,
            hashes,
            start,
            centroids,
            print,
            allow_pipes,
        )
    metrics = ", ".join(f"{name} {value:.4f}" for name, value in result.metrics.items())
    print(f"{folder}: step {result.step}, dev {metrics}")


def _resolve(
    segments: str,
    path: Path | None,
    pooling: str | None,
    merge_runs: bool | None,
    layout: str | None,
    training: dict[str, Any],
) -> VcConfig:
    """The YAML file, and over it what the command line says."""
    from entcomp.artifacts.streams import PLAIN_STREAMS
    from entcomp.config import load_config, make_config
    from entcomp.tasks.vc.config import VcConfig

    values = (load_config(VcConfig, path) if path else VcConfig()).model_dump()
    # A group of plain units is one token: there is nothing to pool.
    pooling = pooling or ("max" if segments in PLAIN_STREAMS else None)
    merge_runs = True if merge_runs is None and segments == "dedup" else merge_runs
    values |= given(merge_runs=merge_runs, layout=layout)
    values["local"] |= given(pooling=pooling)
    values["training"] |= training
    return make_config(VcConfig, values, source=str(path or "train-vc"))


def _rows(
    experiment: Experiment, sets: list[DataDir], segments: str, allow_pipes: bool
) -> Iterator[list[Any]]:
    """The utterances of sets; the voices' embeddings are made where they are not yet."""
    from entcomp.evaluation.voices.speaker import write_embeddings
    from entcomp.tasks.vc.corpus import read_rows

    for one in sets:
        folder = experiment.voices(one.name)
        made = write_embeddings(one, folder, allow_pipes)
        print(f"{one.name}: {made or 'voices complete, skipped'}")
        yield from read_rows(experiment, one, segments, folder / "speaker.scp", allow_pipes)


def _hashes(
    experiment: Experiment, chosen: tuple[list[DataDir], list[DataDir]], segments: str
) -> dict[str, Any]:
    """What names the content of each set: its audio, voices, units and groups."""
    from entcomp.artifacts.stage import archive_sha256
    from entcomp.artifacts.streams import stream_sha256

    return {
        one.name: [
            one.audio_sha256(),
            archive_sha256(experiment.voices(one.name), "speaker"),
            *stream_sha256(experiment, one.name, segments),
        ]
        for group in chosen
        for one in group
    }
