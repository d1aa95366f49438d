"""``calibration.json``: how entropy and its rise are distributed on the calibration sets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from entcomp.artifacts.entropies import Entropies
from entcomp.artifacts.experiment import Experiment
from entcomp.artifacts.models import LMInfo
from entcomp.errors import EntcompError
from entcomp.files import read_json, write_json
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
    sources = {name: _open(experiment, name, lm) for name in sorted(sets)}
    hashes = {name: source.archives[lm.direction].sha256 for name, source in sources.items()}
    if path.exists() and read_json(path).get("entropy_sha256") == hashes:
        return False
    summary = _Summary(sum(_predictions(source, lm) for source in sources.values()))
    for name, source in sources.items():
        for _, entropy in track(source, f"{name}: calibration"):
            summary.add(entropy if lm.direction == "forward" else entropy[::-1])
    info = experiment.units_info()
    values = {
        "sets": list(sources),
        "entropy_sha256": hashes,
        "frame_shift": info.frame_shift,
        "num_clusters": lm.num_clusters,
        "lm_sha256": lm.lm_sha256,
        "codebook_sha256": lm.codebook_sha256,
    }
    write_json(path, values | summary.result(str(path)))
    return True


def is_scored(experiment: Experiment, name: str, lm: LMInfo) -> bool:
    """True if a set has entropies, and no other LM is known to have made them."""
    found = Entropies.find(experiment, name, [lm.direction])
    return found is not None and found.lm_sha256(lm.direction) in (None, lm.lm_sha256)


def _open(experiment: Experiment, name: str, lm: LMInfo) -> Entropies:
    """A set's entropies, which must be this LM's."""
    found = Entropies.open(experiment, name, [lm.direction])
    found.check_lm(lm.direction, lm.lm_sha256)
    return found


def _predictions(source: Entropies, lm: LMInfo) -> int:
    """How many values a set has, as its stage counted, or by reading it."""
    counts = source.archives[lm.direction].outputs
    if "predictions" in counts:
        return int(counts["predictions"])
    return sum(int(np.count_nonzero(~np.isnan(entropy))) for _, entropy in source)


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
