"""What every task's training shares about the stream that it reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from entcomp.artifacts.experiment import Experiment, check_folder_name
from entcomp.artifacts.streams import PLAIN_STREAMS
from entcomp.encoder.local import LocalEncoderConfig
from entcomp.errors import EntcompError
from entcomp.lm.model import load_lm
from entcomp.units.codebook import Codebook


def implied_by(segmentation: str | None) -> dict[str, Any]:
    """What a stream says of a model's config, unless the command line says otherwise.

    A group of plain units is one token: there is nothing to pool. One of equal units is a run.
    """
    pooling = {"local.pooling": "max"} if segmentation in PLAIN_STREAMS else {}
    return pooling | ({"merge_runs": True} if segmentation == "dedup" else {})


def model_name(tag: str | None, changes: Mapping[str, Any], *parts: str | None) -> str:
    """A model's tag: the one given, or what of its settings is not the default, and the seed.

    Raises EntcompError for one given that names no folder.
    """
    if tag is not None:
        check_folder_name(tag)
    seed = changes.get("training.seed")
    return tag or "_".join(filter(None, (*parts, f"seed{seed}" if seed else "")))


def first_embeddings(experiment: Experiment, local: LocalEncoderConfig) -> np.ndarray | None:
    """What a model's embeddings are to begin from: a vector a unit, (K, features), or None.

    Those are the codebook's centroids or the entropy LM's own embeddings. Raises EntcompError where
    there is no codebook (as of imported units), or no LM.
    """
    if local.embedding == "random":
        return None
    if local.embedding == "lm":
        model, *_ = load_lm(experiment, "forward")
        return model.embedding.weight[: model.num_clusters].detach().numpy()
    if not experiment.codebook.exists():
        raise EntcompError(
            f"{experiment.codebook}: no such file, as imported units have no centroids; train with "
            f"--set local.embedding=lm (the entropy LM's) or =random, or run learn-kmeans"
        )
    return Codebook.read(experiment.codebook).centroids
