"""entcomp learn-kmeans"""

from __future__ import annotations

import os
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
    from entcomp.units.learn import Learning, learn_kmeans

    experiment = Experiment(exp)
    chosen = find_sets(data, sets)
    learning = Learning(num_clusters, max_frames, seed, skip_bad, whiten)
    model = load_extractor(extractor, layer, checkpoint, device)
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
