"""train-lm: pack the units, count n-grams, train, keep the best weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from entcomp.artifacts.experiment import Experiment, UnitsInfo
from entcomp.artifacts.models import LMInfo
from entcomp.artifacts.stage import Stage, read_stage
from entcomp.artifacts.units import Units
from entcomp.errors import EntcompError
from entcomp.lm.batches import DevRows, TrainRows
from entcomp.lm.config import LMConfig
from entcomp.lm.corpus import MAX_CLUSTERS, Corpus, pack_corpus
from entcomp.lm.export import export_onnx
from entcomp.lm.model import UnitLM
from entcomp.lm.ngram import ngram_nats
from entcomp.training.description import write_description
from entcomp.training.loop import fit, training_stage
from entcomp.training.ranks import first_rank_first, is_first_rank, join_ranks


def train_lm(
    experiment: Experiment,
    train_sets: Sequence[str],
    dev_sets: Sequence[str],
    config: LMConfig,
    skip_bad: bool = False,
) -> LMInfo | None:
    """Train the entropy LM of EXP; None if that was done before, with the same data and config.

    Raises EntcompError for units that are missing, of another codebook, or outside 0..K-1.
    """
    info = experiment.units_info()
    if info.num_clusters > MAX_CLUSTERS:
        raise EntcompError(f"{experiment.units_json}: at most {MAX_CLUSTERS} clusters")
    folder = experiment.lm(config.direction)
    join_ranks(config.training)
    with first_rank_first():
        train, dev = (
            _packed(experiment, sets, config, name, skip_bad)
            for name, sets in (("train", train_sets), ("dev", dev_sets))
        )
    inputs = _inputs(info, train, dev, config)
    if _is_described(folder, training_stage(folder, config.training, inputs)):
        write_description(folder, config)
        return None
    lm = _fit(folder, info, train, dev, config, inputs)
    if is_first_rank():
        export_onnx(folder, config, lm)
    write_description(folder, config, lm)
    return lm


def _packed(
    experiment: Experiment, sets: Sequence[str], config: LMConfig, name: str, skip_bad: bool
) -> Corpus:
    units = [Units.open(experiment, one) for one in sets]
    folder = experiment.lm(config.direction) / "packed"
    return pack_corpus(units, config.lm_units, folder, name, skip_bad)


def _inputs(info: UnitsInfo, train: Corpus, dev: Corpus, config: LMConfig) -> dict[str, Any]:
    """What the weights depend on beside how they are trained."""
    return {
        "codebook_sha256": info.codebook_sha256,
        "train_sha256": train.sha256,
        "dev_sha256": dev.sha256,
        "num_clusters": info.num_clusters,
        "model": config.model_dump(mode="json", exclude={"training", "score_overlap"}),
    }


def _is_described(folder: Path, stage: Stage) -> bool:
    """Whether the training has ended, and lm.json is that of its weights, not of earlier ones."""
    if not stage.is_complete():
        return False
    try:
        described = LMInfo.read(folder)
    except EntcompError:  # none, or a damaged one: it is written anew
        return False
    return described.lm_sha256 == read_stage(folder, stage.name)["outputs"]["sha256"]


def _fit(
    folder: Path,
    info: UnitsInfo,
    train: Corpus,
    dev: Corpus,
    config: LMConfig,
    inputs: dict[str, Any],
) -> LMInfo:
    """Train, or go on where a killed run stopped; what came of it, beside n-grams."""
    ngrams = ngram_nats(train, dev, info.num_clusters, config.direction)
    _announce(train, dev, ngrams)
    torch.manual_seed(config.training.seed)
    model = UnitLM(config, info.num_clusters)
    rows = TrainRows(train, config, info.num_clusters)
    dev_rows = DevRows(dev, config, info.num_clusters)
    result = fit(model, rows, dev_rows, config.training, folder, inputs)
    return LMInfo(
        lm_sha256=result.sha256,
        codebook_sha256=info.codebook_sha256,
        direction=config.direction,
        lm_units=config.lm_units,
        num_clusters=info.num_clusters,
        nats_per_unit={"lm": result.metrics["loss"], **ngrams},
    )


def _announce(train: Corpus, dev: Corpus, ngrams: dict[str, float]) -> None:
    sizes = [f"{len(one):,} utterances, {int(one.offsets[-1]):,} units" for one in (train, dev)]
    print(f"train: {sizes[0]}; dev: {sizes[1]}")
    figures = ", ".join(f"{name} {value:.3f}" for name, value in ngrams.items())
    print(f"nats per unit on dev to beat: {figures}", flush=True)
