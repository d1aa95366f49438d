"""`entcomp segment`: entropies or units to groups."""

from __future__ import annotations

from typing import Annotated

import typer

from entcomp.cli.options import Data, Exp, Seed, Sets, ShardOption, SkipBad


def segment(
    data: Data,
    exp: Exp,
    target_rate: Annotated[
        float | None, typer.Option(metavar="HZ", help="Groups a second to aim at.")
    ] = None,
    criterion: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="global, relative, combined, peak, bidirectional, or a baseline: dedup, fixed, "
            "uniform, random. The default is what the other options imply, else global.",
        ),
    ] = None,
    theta_g: Annotated[float | None, typer.Option(help="Threshold on entropy.")] = None,
    theta_r: Annotated[float | None, typer.Option(help="Threshold on its rise.")] = None,
    theta_unit: Annotated[
        str,
        typer.Option(
            metavar="UNIT",
            help="paper (9.7 means 7 Hz), nats, bits, normalized (H / ln K) or quantile.",
        ),
    ] = "paper",
    peaks: Annotated[
        bool, typer.Option("--peaks", help="Only at peaks of the bidirectional score.")
    ] = False,
    window: Annotated[
        int | None, typer.Option(metavar="FRAMES", help="Group length of fixed.")
    ] = None,
    min_length: Annotated[
        int, typer.Option(metavar="FRAMES", help="No shorter groups but an utterance's last.")
    ] = 1,
    max_length: Annotated[
        int | None, typer.Option(metavar="FRAMES", help="Cut longer groups.")
    ] = None,
    tag: Annotated[
        str | None, typer.Option(help="Folder in EXP/segments; names itself by default.")
    ] = None,
    frame_shift: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="Where there is no EXP/units/units.json."),
    ] = None,
    sets: Sets = None,
    shard: ShardOption = "1/1",
    seed: Seed = 0,
    skip_bad: SkipBad = False,
) -> None:
    """Group units by where the LM is unsure, at a stated rate or threshold.

    Reads EXP/entropy (the baselines: EXP/units), writes EXP/segments/TAG.
    """
    from entcomp.experiment import Experiment
    from entcomp.kaldi.datadir import find_sets
    from entcomp.kaldi.shard import Shard
    from entcomp.segmentation.request import Request, default_criterion
    from entcomp.segmentation.stage import segment_sets

    request = Request(
        criterion=criterion or default_criterion(theta_g, theta_r, window),
        theta_g=theta_g,
        theta_r=theta_r,
        theta_unit=theta_unit,
        target_rate=target_rate,
        window=window,
        peaks=peaks,
        min_length=min_length,
        max_length=max_length,
        seed=seed,
    )
    request.check()
    names = [one.name for one in find_sets(data, sets)]
    part = Shard.parse(shard)
    for line in segment_sets(Experiment(exp), names, request, tag, frame_shift, part, skip_bad):
        print(line)
