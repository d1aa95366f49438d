"""train-lm: pack the units, count n-grams, train, keep the best weights."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from entcomp.artifacts.experiment import Experiment
from entcomp.artifacts.models import LMInfo
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
            pack_corpus(
                [Units.open(experiment, set_name) for set_name in sets],
                config.lm_units,
                folder / "packed",
                name,
                skip_bad,
            )
            for name, sets in (("train", train_sets), ("dev", dev_sets))
        )
    inputs = {
        "codebook_sha256": info.codebook_sha256,
        "train_sha256": train.sha256,
        "dev_sha256": dev.sha256,
        "num_clusters": info.num_clusters,
        "model": config.model_dump(mode="json", exclude={"training", "score_overlap"}),
    }
    complete = training_stage(folder, config.training, inputs).is_complete()
    if complete and (folder / "lm.json").exists():
        write_description(folder, config)
        return None
    ngrams = ngram_nats(train, dev, info.num_clusters, config.direction)
    _announce(train, dev, ngrams)
    torch.manual_seed(config.training.seed)
    model = UnitLM(config, info.num_clusters)
    rows = TrainRows(train, config, info.num_clusters)
    dev_rows = DevRows(dev, config, info.num_clusters)
    result = fit(model, rows, dev_rows, config.training, folder, inputs)
    lm = LMInfo(
        lm_sha256=result.sha256,
        codebook_sha256=info.codebook_sha256,
        direction=config.direction,
        lm_units=config.lm_units,
        num_clusters=info.num_clusters,
        nats_per_unit={"lm": result.metrics["loss"], **ngrams},
    )
    if is_first_rank():
        export_onnx(folder, config, lm)
    write_description(folder, config, lm)
    return lm


def _announce(train: Corpus, dev: Corpus, ngrams: dict[str, float]) -> None:
    sizes = [f"{len(one):,} utterances, {int(one.offsets[-1]):,} units" for one in (train, dev)]
    print(f"train: {sizes[0]}; dev: {sizes[1]}")
    figures = ", ".join(f"{name} {value:.3f}" for name, value in ngrams.items())
    print(f"nats per unit on dev to beat: {figures}", flush=True)
