"""Train the entropy LM of an experiment."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from entcomp.artifacts.experiment import Experiment
from entcomp.config import resolve_config
from entcomp.kaldi.datadir import DataDir
from entcomp.lm.config import LMConfig
from entcomp.lm.train import train_lm

log = logging.getLogger(__name__)


def train_entropy_lm(
    experiment: Experiment,
    sets: tuple[Sequence[DataDir], Sequence[DataDir]],
    config: Path | None = None,
    changes: Mapping[str, Any] | None = None,
    skip_bad: bool = False,
) -> str:
    """Train on the first ``sets``, evaluated on the others; returns a line on what it came to.

    ``config`` is a YAML file, ``changes`` are values over it, by dotted keys. Writes EXP/lm or
    EXP/lm_backward, and warns of an LM that n-grams beat.
    """
    resolved = resolve_config(LMConfig(), config, changes or {})
    train_sets, dev_sets = ([one.name for one in some] for some in sets)
    folder = experiment.lm(resolved.direction)
    lm = train_lm(experiment, train_sets, dev_sets, resolved, skip_bad)
    if lm is None:
        return f"{folder}: complete, skipped"
    reached = lm.nats_per_unit
    if reached["lm"] >= min(reached["unigram"], reached["bigram"]):
        log.warning("%s: no better than n-grams; train it longer, or on more units", folder)
    return f"{folder}: " + ", ".join(f"{name} {value:.3f}" for name, value in reached.items())
