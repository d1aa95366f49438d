"""entcomp learn-kmeans"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from entcomp.artifacts.experiment import Experiment
from entcomp.cli import options
from entcomp.kaldi.datadir import find_sets, preferred
from entcomp.pipelines.units import import_codebook, learn_codebook
from entcomp.units.extractors import describe_extractors, load_extractor
from entcomp.units.learn import KmeansOptions


def learn_kmeans(
    data: options.Data,
    exp: options.Exp,
    sets: Annotated[
        str | None,
        typer.Option(metavar="NAMES", help="By default train*, or all sets where there is none."),
    ] = None,
    extractor: Annotated[
        str, typer.Option(metavar="NAME", help=describe_extractors())
    ] = "moonshine",
    layer: Annotated[
        str | None, typer.Option(metavar="N|last", help="Default: the extractor's own.")
    ] = None,
    checkpoint: options.Checkpoint = None,
    published: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="Take a published codebook instead, of fairseq, ESPnet or textlesslib "
            "(.bin, .mdl, .pt, .km), for this extractor and layer; DATA is not read then.",
        ),
    ] = None,
    num_clusters: Annotated[
        int | None,
        typer.Option(
            min=1, help="K, the number of units. Default: 500; with --from, what FILE has."
        ),
    ] = None,
    whiten: Annotated[
        float,
        typer.Option(
            min=0, max=1, help="Whiten the features first: from 0, not at all, to 1, fully."
        ),
    ] = 0.0,
    max_frames: Annotated[
        int, typer.Option(min=1, help="Number of random frames to learn from.")
    ] = 128_000,
    seed: options.Seed = 0,
    skip_bad: options.SkipBad = False,
    allow_pipes: options.AllowPipes = False,
    channel: options.Channel = None,
    device: options.Device = "auto",
    num_jobs: options.NumJobs = os.cpu_count() or 1,
) -> None:
    """Learn the codebook of units from recordings: EXP/units/kmeans.npz and units.json."""
    chosen = [] if published else find_sets(data, sets, channel)
    chosen = preferred(chosen, "train") if sets is None else chosen
    model = load_extractor(extractor, layer, checkpoint, device)
    if published:
        print(import_codebook(Experiment(exp), published, model, num_clusters))
        return
    learning = KmeansOptions(num_clusters or 500, max_frames, seed, skip_bad, whiten)
    print(learn_codebook(Experiment(exp), chosen, model, learning, num_jobs, allow_pipes))
