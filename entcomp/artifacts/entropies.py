"""``EXP/entropy/<set>``: the entropies of each utterance (nats), checked against its units."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from entcomp.artifacts.archive import Archive, Row, iter_rows
from entcomp.artifacts.experiment import Direction, Experiment, entropy_name
from entcomp.artifacts.hashes import check_same
from entcomp.artifacts.runs import run_mask
from entcomp.artifacts.shard import Shard
from entcomp.artifacts.units import LONGEST, Units
from entcomp.skipped import SkippedUtterances

ROUNDING = 0.1  # nats, of entropies in half precision


@dataclass(frozen=True)
class Entropies:
    """Entropies of a set by one LM or by two: an archive for each direction.

    Each utterance has a vector a direction, float (frames,), as long as its units: eq. 1 in nats,
    and NaN where an LM over runs of equal units (``lm_units: dedup``) predicts nothing, which is
    wherever a unit repeats the one before. ``units`` are None where the experiment lacks them.

    >>> for utt_id, entropy in Entropies.open(experiment, "dev"):     # doctest: +SKIP
    ...     print(utt_id, entropy.mean())
    """

    archives: dict[Direction, Archive]
    units: Units | None
    most: float  # nats, of a uniform distribution over all units

    @classmethod
    def open(
        cls,
        experiment: Experiment,
        set_name: str,
        directions: Sequence[Direction] = ("forward",),
    ) -> Entropies:
        """Raises EntcompError naming the stage to run where a direction's entropies are missing.

        Also for those of other units, or of another codebook.
        """
        folder = experiment.entropy(set_name)
        archives = {
            one: Archive(folder, entropy_name(one), entropy_name(one, "stage"))
            for one in directions
        }
        units = Units.find(experiment, set_name)
        info = experiment.find_units_info()
        for direction, archive in archives.items():
            archive.check_exists(_REMEDIES[direction])
            if info:
                found = archive.inputs.get("codebook_sha256")
                remedy = "rerun dump-units and score-entropy, or use another EXP"
                check_same(info.codebook_sha256, found, "codebook", archive.scp, remedy)
            if units:
                expected, found = units.outputs.get("sha256"), archive.inputs.get("units_sha256")
                check_same(expected, found, "units", archive.scp, "rerun score-entropy")
        return cls(archives, units, math.log(info.num_clusters) if info else math.inf)

    @classmethod
    def find(
        cls,
        experiment: Experiment,
        set_name: str,
        directions: Sequence[Direction] = ("forward",),
    ) -> Entropies | None:
        """As `open`; None where a direction's entropies are missing."""
        folder = experiment.entropy(set_name)
        there = all((folder / f"{entropy_name(one)}.scp").exists() for one in directions)
        return cls.open(experiment, set_name, directions) if there else None

    @property
    def sha256(self) -> list[str]:
        """SHA-256 of each direction's archive."""
        return [one.sha256 for one in self.archives.values()]

    def lm_sha256(self, direction: Direction) -> str | None:
        """The LM that made a direction's entropies; None for another toolkit's files."""
        return self.archives[direction].inputs.get("lm_sha256")

    def check_lm(self, direction: Direction, expected: str | None) -> None:
        """Raises EntcompError for entropies of another LM, if both are known."""
        scp = self.archives[direction].scp
        remedy = "rerun score-entropy, or use another EXP"
        check_same(expected, self.lm_sha256(direction), "LM", scp, remedy)

    def count(self) -> int:
        """Utterances."""
        return next(iter(self.archives.values())).count()

    def __iter__(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield ``(utt_id, entropy)`` of the first direction, usually the only one.

        Raises EntcompError at the first bad utterance.
        """
        return ((utt_id, entropies[0]) for utt_id, entropies in self.rows())

    @property
    def match_units(self) -> bool:
        """True where each manifest names these very units, which its stage then read with them."""
        expected = self.units and self.units.outputs.get("sha256")
        found = [one.inputs.get("units_sha256") for one in self.archives.values()]
        return expected is not None and all(one == expected for one in found)

    def rows(
        self,
        skipped: SkippedUtterances | None = None,
        shard: Shard = Shard(),
        compare_units: bool = True,
    ) -> Iterator[Row]:
        """Yield ``(utt_id, entropies)``, a vector a direction; bad ones go to ``skipped``.

        ``compare_units=False`` leaves the units unread, which halves the time, and with them the
        checks of lengths and of where values are missing.
        """
        archives = list(self.archives.values())
        others = [self.units] if self.units is not None and compare_units else []
        for utt_id, vectors in iter_rows([*archives, *others], self._fault, skipped, shard):
            yield utt_id, vectors[: len(archives)]

    def _fault(self, vectors: list[np.ndarray]) -> str | None:
        """What is wrong with an utterance's entropies, if anything is."""
        entropies = dict(zip(self.archives, vectors, strict=False))
        for entropy in entropies.values():
            if reason := self._fault_of(entropy):
                return reason
        if len(entropies) == 2 and (reason := _pair_fault(*entropies.values())):
            return reason
        if self.units is None or len(vectors) == len(entropies):
            return None
        units = vectors[-1]
        return self.units.fault(units) or _units_fault(vectors[0], units)

    def _fault_of(self, entropy: np.ndarray) -> str | None:
        if len(entropy) == 0:
            return "no entropies"
        if entropy.dtype.kind != "f":
            return f"{entropy.dtype} values are not entropies"
        if len(entropy) > LONGEST:
            return f"{len(entropy)} entropies are too many for one utterance"
        if np.isnan(entropy[0]):
            return "no entropy for unit 0 (NaN); rerun score-entropy"
        # Beyond NaN, and at a quarter of nanmin's cost.
        low, high = np.fmin.reduce(entropy), np.fmax.reduce(entropy)
        if np.isinf(low) or np.isinf(high):
            return "an infinite entropy; rerun score-entropy"
        if low < -ROUNDING:
            return f"an entropy of {low:.4g} nats; rerun score-entropy"
        if high > self.most + ROUNDING:
            return (
                f"an entropy of {high:.4g} nats, but at most {self.most:.4g} are possible; rerun "
                "score-entropy"
            )
        return None


_REMEDIES: dict[Direction, str] = {
    "forward": "run score-entropy first",
    "backward": "run train-lm --direction backward and score-entropy --direction backward first",
}


def _pair_fault(forward: np.ndarray, backward: np.ndarray) -> str | None:
    if len(forward) != len(backward):
        return f"{len(forward)} forward but {len(backward)} backward entropies; rerun score-entropy"
    counts = [int(np.count_nonzero(~np.isnan(one))) for one in (forward, backward)]
    if counts[0] != counts[1]:
        return f"{counts[0]} forward but {counts[1]} backward predictions; use LMs of one kind"
    return None


def _units_fault(entropy: np.ndarray, units: np.ndarray) -> str | None:
    if len(entropy) != len(units):
        return f"{len(entropy)} entropies for {len(units)} units; rerun score-entropy"
    missing = np.isnan(entropy)
    if missing.any() and not np.array_equal(~missing, run_mask(units)):
        return "no entropy (NaN) elsewhere than where a unit repeats; rerun score-entropy"
    return None
