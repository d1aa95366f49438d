"""``EXP/units/<set>``: the units of each utterance, checked against the codebook."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from entcomp.artifacts.archive import Archive, iter_rows
from entcomp.artifacts.experiment import Experiment
from entcomp.artifacts.hashes import check_same
from entcomp.artifacts.shard import Shard
from entcomp.skipped import SkippedUtterances

# A longer utterance is a damaged file: 46 hours at 100 Hz.
LONGEST = 1 << 24


@dataclass(frozen=True)
class Units(Archive):
    """Units of a set: int32 (frames,) in 0..K-1 for each utterance, at least one.

    ``num_clusters`` is K; None where nothing says what the units are (no ``units.json``).

    >>> for utt_id, units in Units.open(experiment, "dev"):     # doctest: +SKIP
    ...     print(utt_id, len(units))
    """

    num_clusters: int | None = None

    @classmethod
    def open(cls, experiment: Experiment, set_name: str) -> Units:
        """Raises EntcompError where there are no units, or units of another codebook."""
        info = experiment.find_units_info()
        folder = experiment.units(set_name)
        units = cls(folder, "units", num_clusters=info.num_clusters if info else None)
        units.check_exists(f"run dump-units on {set_name} first")
        if info:
            found = units.inputs.get("codebook_sha256")
            check_same(info.codebook_sha256, found, "codebook", units.scp, "rerun dump-units")
        return units

    @classmethod
    def find(cls, experiment: Experiment, set_name: str) -> Units | None:
        """As `open`; None where there are no units, as in a pack."""
        there = (experiment.units(set_name) / "units.scp").exists()
        return cls.open(experiment, set_name) if there else None

    def __iter__(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield ``(utt_id, units)``; raises EntcompError at the first bad utterance."""
        return self.rows()

    def rows(
        self, skipped: SkippedUtterances | None = None, shard: Shard = Shard()
    ) -> Iterator[tuple[str, np.ndarray]]:
        """As `__iter__`, of a shard of the set; bad utterances go to ``skipped``."""
        for utt_id, (units,) in iter_rows([self], lambda row: self.fault(row[0]), skipped, shard):
            yield utt_id, units

    def fault(self, units: np.ndarray) -> str | None:
        """What is wrong with an utterance's units, if anything is."""
        return units_fault(units, self.num_clusters)


def units_fault(units: np.ndarray, num_clusters: int | None) -> str | None:
    """What is wrong with units (frames,), if anything is; ``num_clusters`` is K, if known."""
    if units.dtype.kind != "i":
        return f"{units.dtype} values are not units"
    if not 0 < len(units) <= LONGEST:
        return f"{len(units)} units are too many for one utterance" if len(units) else "no units"
    if units.min() < 0:
        return f"unit {units.min()} is negative; rerun dump-units"
    if num_clusters is not None and units.max() >= num_clusters:
        return f"unit {units.max()} outside 0..{num_clusters - 1}; the codebook is another one"
    return None
