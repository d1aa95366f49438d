"""``calibration.json``: how entropy and its rise are distributed on the calibration sets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from entcomp.artifacts.experiment import Experiment, entropy_name
from entcomp.artifacts.models import LMInfo
from entcomp.artifacts.stage import archive_sha256, read_stage
from entcomp.errors import EntcompError
from entcomp.files import read_json, write_json
from entcomp.kaldi.ark import iter_vectors
from entcomp.progress import track

LEVELS = 4097
# Values up to which quantiles are exact (160 MB); beyond, they are those of a sample of this size.
EXACT_VALUES = 20_000_000
SAMPLE_SEED = 0


def calibrate(experiment: Experiment, sets: Sequence[str], lm: LMInfo) -> bool:
    """Write a direction's calibration from the entropies of ``sets``; False if it was complete.

    The first unit that the LM reads of an utterance follows nothing and is left out. Raises
    EntcompError where a set has no entropies, or those of another LM.
    """
    path = experiment.calibration(lm.direction)
    sources = {name: _entropy_sha256(experiment, name, lm) for name in sorted(sets)}
    if path.exists() and read_json(path).get("entropy_sha256") == sources:
        return False
    scps = [_scp(experiment, name, lm) for name in sources]
    summary = _Summary(sum(_predictions(scp, lm) for scp in scps))
    for name, scp in zip(sources, scps, strict=True):
        for _, entropy in track(iter_vectors(scp), f"{name}: calibration"):
            summary.add(entropy if lm.direction == "forward" else entropy[::-1])
    info = experiment.units_info()
    values = {
        "sets": list(sources),
        "entropy_sha256": sources,
        "frame_shift": info.frame_shift,
        "num_clusters": lm.num_clusters,
        "lm_sha256": lm.lm_sha256,
        "codebook_sha256": lm.codebook_sha256,
    }
    write_json(path, values | summary.result(str(path)))
    return True


def is_scored(experiment: Experiment, name: str, lm: LMInfo) -> bool:
    """True if a set has entropies, and no other LM is known to have made them."""
    made_by = read_stage(experiment.entropy(name), _mark(lm))["inputs"].get("lm_sha256")
    return _scp(experiment, name, lm).exists() and made_by in (None, lm.lm_sha256)


def _entropy_sha256(experiment: Experiment, name: str, lm: LMInfo) -> str:
    """Hash of a set's entropies, which must be this LM's."""
    scp = _scp(experiment, name, lm)
    if not is_scored(experiment, name, lm):
        raise EntcompError(f"{scp}: missing, or made with another LM; run score-entropy on {name}")
    return archive_sha256(scp.parent, scp.stem, _mark(lm))


def _scp(experiment: Experiment, name: str, lm: LMInfo) -> Path:
    return experiment.entropy(name) / f"{entropy_name(lm.direction)}.scp"


def _mark(lm: LMInfo) -> str:
    return entropy_name(lm.direction, "stage")


def _predictions(scp: Path, lm: LMInfo) -> int:
    """How many values a set has, as its stage counted, or by reading it."""
    counts = read_stage(scp.parent, _mark(lm))["outputs"]
    if "predictions" in counts:
        return int(counts["predictions"])
    return sum(int(np.count_nonzero(~np.isnan(entropy))) for _, entropy in iter_vectors(scp))


class _Summary:
    """Moments of all values; quantiles of all or, of too many, of a seeded sample."""

    def __init__(self, expected: int) -> None:
        self.keep = min(1.0, EXACT_VALUES / max(1, expected))
        self.random = np.random.default_rng(SAMPLE_SEED)
        self.utterances = self.units = self.predictions = 0
        self.sum = self.sum_of_squares = 0.0
        self.entropies: list[np.ndarray] = []
        self.rises: list[np.ndarray] = []

    def add(self, entropy: np.ndarray) -> None:
        """One utterance (frames,), in the order of reading; NaN where nothing is predicted."""
        predicted = entropy[~np.isnan(entropy)]
        values = predicted[1:].astype(np.float64)
        self.utterances += 1
        self.units += len(entropy)
        self.predictions += len(predicted)
        self.sum += values.sum()
        self.sum_of_squares += np.square(values).sum()
        kept = slice(None) if self.keep == 1 else self.random.random(len(values)) < self.keep
        self.entropies.append(predicted[1:][kept])
        self.rises.append(np.diff(predicted)[kept])

    def result(self, path: str) -> dict[str, Any]:
        count = self.predictions - self.utterances
        if count <= 0:
            raise EntcompError(f"{path}: no utterance of two units or more to calibrate on")
        mean = self.sum / count
        levels = np.linspace(0, 1, LEVELS)
        return {
            "utterances": self.utterances,
            "units": self.units,
            "predictions": self.predictions,
            "mean": mean,
            "std": max(0.0, self.sum_of_squares / count - mean**2) ** 0.5,
            "entropy_quantiles": np.quantile(np.concatenate(self.entropies), levels).tolist(),
            "rise_quantiles": np.quantile(np.concatenate(self.rises), levels).tolist(),
        }
