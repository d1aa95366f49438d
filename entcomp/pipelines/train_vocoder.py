"""Train a HiFi-GAN vocoder on a data dir's recordings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from entcomp.artifacts.experiment import Experiment
from entcomp.config import resolve_config
from entcomp.kaldi.datadir import DataDir
from entcomp.pipelines.streams import model_name
from entcomp.tasks.vc.vocoder_training import VocoderTrainingConfig, train_hifigan
from entcomp.training.loop import FitResult
from entcomp.training.ranks import check_share, join_ranks


def train_vocoder(
    experiment: Experiment,
    sets: tuple[list[DataDir], list[DataDir]],
    config: Path | None = None,
    changes: Mapping[str, Any] | None = None,
    tag: str | None = None,
    allow_pipes: bool = False,
) -> tuple[Path, FitResult]:
    """Train on the first ``sets``, evaluated on the others; returns the model's folder too.

    ``config`` is a YAML file, ``changes`` are values over it, by dotted keys. Writes EXP/vocoder.
    """
    changes = changes or {}
    resolved = resolve_config(VocoderTrainingConfig(), config, changes)
    check_share(resolved.batch_size, resolved.training)
    join_ranks(resolved.training)
    folder = experiment.task("vocoder", model_name(tag, changes, "hifigan"))
    return folder, train_hifigan(folder, resolved, *sets, allow_pipes=allow_pipes)
