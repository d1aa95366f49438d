"""Units as the LM reads them: checked, packed on disk, seen through a memory map.

3.6 billion units are 7.2 GB of uint16 on disk; only what a batch needs is in memory.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from entcomp.artifacts.models import LmUnits
from entcomp.artifacts.runs import run_starts
from entcomp.artifacts.stage import Stage, read_stage
from entcomp.artifacts.units import Units
from entcomp.errors import EntcompError
from entcomp.files import atomic_path
from entcomp.progress import track
from entcomp.skipped import SkippedUtterances

# More clusters than uint16 can name are an error of the codebook.
MAX_CLUSTERS = 1 << 16


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
    sets: Sequence[Units], lm_units: LmUnits, folder: Path, name: str, skip_bad: bool
) -> Corpus:
    """Pack sets into ``folder/name.{units,offsets}``, unless that was done, and open them.

    Raises EntcompError for a unit outside 0..K-1, naming file and utterance (unless ``skip_bad``),
    and if there is no utterance.
    """
    inputs = {
        "sets": [one.folder.name for one in sets],
        "units_sha256": [one.sha256 for one in sets],
        "lm_units": lm_units,
        "skip_bad": skip_bad,
    }
    stage = Stage(folder, inputs, name, files=(f"{name}.units", f"{name}.offsets"))
    if not stage.is_complete():
        stage.start()
        stage.finish(_write(sets, lm_units, folder, name, SkippedUtterances(skip_bad)))
    counts = read_stage(folder, name)["outputs"]
    units = np.memmap(folder / f"{name}.units", np.uint16, "r", shape=(counts["units"],))
    offsets = np.fromfile(folder / f"{name}.offsets", np.int64)
    return Corpus(units, offsets, counts["sha256"])


def _write(
    sets: Sequence[Units],
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
                found = track(one.rows(skipped), f"pack {one.folder.name}", one.count())
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
