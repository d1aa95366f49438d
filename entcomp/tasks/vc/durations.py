"""How long a unit lasts where nobody says: for deduplicated units that come without durations."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from entcomp.artifacts.experiment import UnitsInfo
from entcomp.artifacts.record import read_record
from entcomp.artifacts.runs import run_starts
from entcomp.errors import EntcompError
from entcomp.files import write_json

FILE = "durations.json"
LONGEST = 10_000  # frames, 200 s or so: no unit lasts longer in the mean
REMEDY = "rerun train-vc, which does not train again, or give units with durations"


@dataclass(frozen=True)
class Durations:
    """``EXP/vc/<tag>/durations.json``: the mean run of each unit in the training set.

    ``mean_frames`` (K,): frames that a run of equal units lasts, at least 1; a unit that never
    occurred has the mean of all runs. No context, no speaking rate: all runs of a unit are alike,
    so that speech keeps its tempo on the whole and loses its rhythm.
    """

    mean_frames: list[float]

    @classmethod
    def learn(cls, utterances: Iterable[np.ndarray], num_clusters: int) -> Durations:
        """Of units (frames,) of each utterance, at least one in all."""
        frames, runs = np.zeros(num_clusters, np.int64), np.zeros(num_clusters, np.int64)
        for units in utterances:
            frames += np.bincount(units, minlength=num_clusters)
            runs += np.bincount(units[run_starts(units)], minlength=num_clusters)
        mean = np.where(runs > 0, frames / np.maximum(runs, 1), frames.sum() / runs.sum())
        return cls(mean.round(4).tolist())

    @classmethod
    def read(cls, folder: Path, units: UnitsInfo) -> Durations:
        """Those of a trained model.

        Raises EntcompError where there are none, as of models that older versions trained.
        """
        path = folder / FILE
        if not path.exists():
            raise EntcompError(f"{path}: no such file; {REMEDY}")
        found = read_record(cls, path, REMEDY)
        in_range = all(1 <= one <= LONGEST for one in found.mean_frames)
        if len(found.mean_frames) != units.num_clusters or not in_range:
            raise EntcompError(
                f"{path}: not a duration of 1 to {LONGEST} frames for each of {units.num_clusters} "
                f"units; {REMEDY}"
            )
        return found

    def expand(self, units: np.ndarray) -> np.ndarray:
        """Units (frames,), one a frame, of units (runs,), one a run; both int32 in 0..K-1.

        Fractions of a frame are carried over, so that an utterance lasts as long as its means do.
        """
        ends = np.floor(np.cumsum(np.array(self.mean_frames)[units]) + 0.5).astype(np.int64)
        return np.repeat(units, np.diff(ends, prepend=0))

    def write(self, folder: Path) -> None:
        write_json(folder / FILE, asdict(self))
