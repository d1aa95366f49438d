"""entcomp learn-kmeans"""

from __future__ import annotations

import os
from typing import Annotated

import typer

from entcomp.artifacts.experiment import Experiment
from entcomp.cli import options
from entcomp.kaldi.datadir import find_sets
from entcomp.pipelines.units import learn_codebook
from entcomp.units.extractor import load_extractor
from entcomp.units.learn import Learning


def learn_kmeans(
    data: options.Data,
    exp: options.Exp,
    sets: options.Sets = None,
    extractor: Annotated[
        str, typer.Option(help="moonshine, hubert, hubert_large, wavlm, wavlm_large, mfcc ...")
    ] = "moonshine",
    layer: Annotated[
        str | None,
        typer.Option(metavar="N|last", help="Default: moonshine 3, hubert 9, others the last."),
    ] = None,
    checkpoint: options.Checkpoint = None,
    num_clusters: Annotated[int, typer.Option(min=1, help="K, the number of units.")] = 500,
    whiten: Annotated[
        float,
        typer.Option(min=0, max=1, help="Make variances alike first: 0 not at all, 1 wholly."),
    ] = 0.0,
    max_frames: Annotated[int, typer.Option(min=1, help="Frames drawn to learn from.")] = 128_000,
    seed: options.Seed = 0,
    skip_bad: options.SkipBad = False,
    allow_pipes: options.AllowPipes = False,
    device: options.Device = "auto",
    num_jobs: options.NumJobs = os.cpu_count() or 1,
) -> None:
    """Learn the codebook of units from recordings: EXP/units/kmeans.npz and units.json."""
    learning = Learning(num_clusters, max_frames, seed, skip_bad, whiten)
    chosen = find_sets(data, sets)
    model = load_extractor(extractor, layer, checkpoint, device)
    print(learn_codebook(Experiment(exp), chosen, model, learning, num_jobs, allow_pipes))
