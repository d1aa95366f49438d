"""``EXP/entropy/calibration.json``: how entropies are distributed on the calibration sets."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from entcomp.artifacts.experiment import Direction, Experiment, entropy_name
from entcomp.artifacts.hashes import check_same
from entcomp.artifacts.record import parse_record
from entcomp.errors import EntcompError
from entcomp.files import read_json

MOST = 1 << 60  # of anything that is counted; more is damage


@dataclass(frozen=True)
class Calibration:
    """The distribution of entropies and of their rises, of the LM of one direction.

    ``entropy_quantiles`` and ``rise_quantiles`` (Q,) are in nats at evenly spaced levels, over the
    predicted positions but for the first of each utterance; ``mean`` and ``std`` likewise.
    """

    path: str
    sets: list[str]
    utterances: int
    units: int
    predictions: int
    frame_shift: float
    num_clusters: int
    mean: float
    std: float
    entropy_quantiles: list[float]
    rise_quantiles: list[float]
    lm_sha256: str | None = None
    codebook_sha256: str | None = None
    entropy_sha256: dict[str, Any] | None = None  # by set

    @classmethod
    def read(cls, path: Path) -> Calibration:
        """Raises EntcompError for a missing or damaged file, and for values that cannot be."""
        if not path.exists():
            is_backward = path.stem == entropy_name("backward", "calibration")
            raise EntcompError(
                f"{path}: no such file; run score-entropy{' --direction backward' * is_backward} "
                "first, or give thresholds with --theta-unit nats"
            )
        values = {**read_json(path), "path": str(path)}
        found = parse_record(cls, values, path, "rerun score-entropy")
        if fault := found._fault():
            raise EntcompError(f"{path}: {fault}; rerun score-entropy")
        return found

    def _fault(self) -> str | None:
        """What cannot be, if anything."""
        for name in ("units", "predictions", "utterances", "frame_shift", "num_clusters"):
            if not 0 < getattr(self, name) < MOST:
                return f"{name} has to be positive"
        for name in ("entropy_quantiles", "rise_quantiles"):
            values = np.array(getattr(self, name))
            if len(values) < 2 or not np.isfinite(values).all() or (np.diff(values) < 0).any():
                return f"{name} do not ascend"
        if not self.sets or not math.isfinite(self.mean) or not 0 <= self.std < math.inf:
            return "no sets, mean or std"
        return None

    @classmethod
    def find(cls, experiment: Experiment, direction: Direction = "forward") -> Calibration | None:
        """The experiment's calibration, or None where there is none."""
        path = experiment.calibration(direction)
        return cls.read(path) if path.exists() else None

    def check_codebook(self, codebook_sha256: str | None) -> None:
        """Raises EntcompError if it was made with another codebook."""
        remedy = "rerun score-entropy, or use another EXP"
        check_same(codebook_sha256, self.codebook_sha256, "codebook", Path(self.path), remedy)

    @property
    def moments(self) -> tuple[float, float]:
        """Mean and standard deviation of the entropies, nats."""
        return self.mean, self.std
