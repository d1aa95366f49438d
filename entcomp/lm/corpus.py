"""Units as the LM reads them: checked, packed on disk, seen through a memory map.

3.6 billion units are 7.2 GB of uint16 on disk; only what a batch needs is in memory.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from entcomp.artifacts.experiment import Experiment, UnitsInfo, check_same
from entcomp.artifacts.shard import Shard
from entcomp.artifacts.stage import Stage, archive_sha256, read_stage
from entcomp.errors import EntcompError
from entcomp.files import atomic_path
from entcomp.kaldi.ark import iter_vectors
from entcomp.kaldi.table import iter_table
from entcomp.lm.config import LmUnits
from entcomp.progress import track
from entcomp.skipped import SkippedUtterances

# More clusters than uint16 can name are an error of the codebook.
MAX_CLUSTERS = 1 << 16


@dataclass(frozen=True)
class UnitSet:
    """``EXP/units/<name>``, checked against the codebook of EXP."""

    name: str
    scp: Path
    num_clusters: int
    sha256: str

    @classmethod
    def open(cls, experiment: Experiment, name: str, info: UnitsInfo) -> UnitSet:
        """Raises EntcompError where there are no units, or units of another codebook."""
        folder = experiment.units(name)
        scp = folder / "units.scp"
        if not scp.exists():
            raise EntcompError(f"{scp}: no such file; run dump-units on {name} first")
        made_with = read_stage(folder)["inputs"].get("codebook_sha256")
        check_same(info.codebook_sha256, made_with, "codebook", scp, "rerun dump-units")
        return cls(name, scp, info.num_clusters, archive_sha256(folder, "units"))

    def count(self) -> int:
        """Utterances."""
        return sum(1 for _ in iter_table(self.scp))

    def utterances(
        self, skipped: SkippedUtterances, shard: Shard | None = None
    ) -> Iterator[tuple[str, np.ndarray]]:
        """Yield ``(utt_id, units)``, sorted; what is no sequence of units goes to ``skipped``."""
        vectors = iter_vectors(self.scp)
        for utt_id, units in (shard or Shard()).take(vectors, self.count()):
            fault = self._fault(units)
            if fault:
                skipped.add(utt_id, f"{self.scp}: {fault}")
            else:
                yield utt_id, units

    def _fault(self, units: np.ndarray) -> str | None:
        if units.dtype.kind != "i":
            return f"{units.dtype} values are no units"
        if len(units) == 0:
            return "no units"
        if units.min() < 0 or units.max() >= self.num_clusters:
            return (
                f"unit {units.min() if units.min() < 0 else units.max()} outside "
                f"0..{self.num_clusters - 1}; the codebook is another one"
            )
        return None


def run_starts(units: np.ndarray) -> np.ndarray:
    """Positions at which a unit differs from the one before, and 0: (frames,) -> (runs,)."""
    return np.flatnonzero(np.concatenate([[True], units[1:] != units[:-1]]))


def as_lm_units(units: np.ndarray, lm_units: LmUnits) -> np.ndarray:
    """What the LM reads of an utterance: all units, or one for each run of equal ones."""
    return units if lm_units == "raw" else units[run_starts(units)]


@dataclass(frozen=True)
class Corpus:
    """Utterances end to end: ``units`` (N,) uint16, ``offsets`` (utterances + 1,) int64."""

    units: np.ndarray
    offsets: np.ndarray
    sha256: str

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> np.ndarray:
        return self.units[self.offsets[index] : self.offsets[index + 1]]

    @property
    def lengths(self) -> np.ndarray:
        return np.diff(self.offsets)


def pack_corpus(
    sets: Sequence[UnitSet], lm_units: LmUnits, folder: Path, name: str, skip_bad: bool
) -> Corpus:
    """Pack sets into ``folder/name.{units,offsets}``, unless that was done, and open them.

    Raises EntcompError for a unit outside 0..K-1, naming file and utterance (unless ``skip_bad``),
    and if there is no utterance.
    """
    inputs = {
        "sets": [one.name for one in sets],
        "units_sha256": [one.sha256 for one in sets],
        "lm_units": lm_units,
        "skip_bad": skip_bad,
    }
    stage = Stage(folder, inputs, name)
    if not stage.is_complete():
        stage.start()
        stage.finish(_write(sets, lm_units, folder, name, SkippedUtterances(skip_bad)))
    counts = read_stage(folder, name)["outputs"]
    units = np.memmap(folder / f"{name}.units", np.uint16, "r", shape=(counts["units"],))
    offsets = np.fromfile(folder / f"{name}.offsets", np.int64)
    return Corpus(units, offsets, counts["sha256"])


def _write(
    sets: Sequence[UnitSet],
    lm_units: LmUnits,
    folder: Path,
    name: str,
    skipped: SkippedUtterances,
) -> dict[str, Any]:
    digest = hashlib.sha256()
    offsets = array("q", [0])
    with (
        atomic_path(folder / f"{name}.units") as units_path,
        atomic_path(folder / f"{name}.offsets") as offsets_path,
    ):
        with open(units_path, "wb") as stream:
            for one in sets:
                found = track(one.utterances(skipped), f"pack {one.name}", one.count())
                for _, units in found:
                    packed = as_lm_units(units, lm_units).astype("<u2")
                    stream.write(packed.tobytes())
                    digest.update(packed.tobytes())
                    offsets.append(offsets[-1] + len(packed))
        offsets_path.write_bytes(np.array(offsets, "<i8").tobytes())
    if len(offsets) == 1:
        raise EntcompError(f"{sets[0].scp}: no utterance is left to train on")
    skipped.write(folder / f"{name}.skipped.txt")
    digest.update(np.array(offsets, "<i8").tobytes())
    counts = {"utterances": len(offsets) - 1, "units": offsets[-1], "skipped": len(skipped)}
    return {**counts, "sha256": digest.hexdigest()}
