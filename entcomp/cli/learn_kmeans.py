"""entcomp learn-kmeans"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from entcomp.cli.options import (
    AllowPipes,
    Checkpoint,
    Data,
    Device,
    Exp,
    NumJobs,
    Seed,
    Sets,
    SkipBad,
)


def _extractor_help() -> str:
    from entcomp.units.extractors import describe_extractors

    return describe_extractors()


def learn_kmeans(
    data: Data,
    exp: Exp,
    sets: Sets = None,
    extractor: Annotated[str, typer.Option(metavar="NAME", help=_extractor_help())] = "moonshine",
    layer: Annotated[
        str | None, typer.Option(metavar="N|last", help="Default: the extractor's own.")
    ] = None,
    checkpoint: Checkpoint = None,
    published: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="Take a published codebook instead, of fairseq, ESPnet or textlesslib "
            "(.bin, .mdl, .pt, .km), for this extractor and layer; DATA is not read then.",
        ),
    ] = None,
    num_clusters: Annotated[int, typer.Option(min=1, help="K, the number of units.")] = 500,
    whiten: Annotated[
        float,
        typer.Option(min=0, max=1, help="Make variances alike first: 0 not at all, 1 wholly."),
    ] = 0.0,
    max_frames: Annotated[int, typer.Option(min=1, help="Frames drawn to learn from.")] = 128_000,
    seed: Seed = 0,
    skip_bad: SkipBad = False,
    allow_pipes: AllowPipes = False,
    device: Device = "auto",
    num_jobs: NumJobs = os.cpu_count() or 1,
) -> None:
    """Learn the codebook of units from recordings: EXP/units/kmeans.npz and units.json."""
    from entcomp.artifacts.experiment import Experiment
    from entcomp.kaldi.datadir import find_sets
    from entcomp.units.extractors import load_extractor
    from entcomp.units.learn import Learning, learn_kmeans, take_kmeans

    experiment = Experiment(exp)
    chosen = [] if published else find_sets(data, sets)
    model = load_extractor(extractor, layer, checkpoint, device)
    if published is not None:
        taken = take_kmeans(published, experiment, model)
        done = f"{taken['num_clusters']} clusters of {published}" if taken else "complete, skipped"
        print(f"{experiment.codebook}: {done}")
        return
    learning = Learning(num_clusters, max_frames, seed, skip_bad, whiten)
    outputs = learn_kmeans(chosen, experiment, model, learning, num_jobs, allow_pipes)
    if outputs is None:
        print(f"{experiment.codebook}: complete, skipped")
        return
    per_frame = outputs["inertia"] / outputs["frames"]
    print(
        f"{experiment.codebook}: {outputs['clusters_used']} of {num_clusters} clusters used, "
        f"inertia {outputs['inertia']:.4g} ({per_frame:.4g} a frame) on {outputs['frames']} of "
        f"{outputs['frames_seen']} frames, {outputs['skipped']} utterances skipped"
    )
