"""The files that groups are made from: units for baselines, entropies for the criteria."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from entcomp.artifacts.experiment import Direction, Experiment, entropy_name
from entcomp.artifacts.hashes import check_same
from entcomp.artifacts.stage import archive_sha256, read_stage
from entcomp.errors import EntcompError
from entcomp.kaldi.ark import iter_vectors
from entcomp.kaldi.table import iter_table
from entcomp.segmentation.criteria import find_criterion
from entcomp.skipped import SkippedUtterances

Row = tuple[str, np.ndarray, np.ndarray | None]

MARKS = {"units": "stage", "entropy": "stage", "entropy_backward": "stage_backward"}
REMEDIES = {
    "units": "run dump-units first",
    "entropy": "run score-entropy first",
    "entropy_backward": (
        "run train-lm --direction backward and score-entropy --direction backward first"
    ),
}


@dataclass(frozen=True)
class Source:
    """Vectors of one set: ``<name>.scp`` in ``folder`` for each name, forward before backward."""

    folder: Path
    names: tuple[str, ...]

    @classmethod
    def of(cls, experiment: Experiment, set_name: str, criterion: str) -> Source:
        """What a criterion reads. Raises EntcompError naming the stage that was not run."""
        directions = find_criterion(criterion).directions
        if directions:
            names = tuple(entropy_name(direction) for direction in directions)
            source = cls(experiment.entropy(set_name), names)
        else:
            source = cls(experiment.units(set_name), ("units",))
        for name, scp in zip(source.names, source.scps, strict=True):
            if not scp.exists():
                raise EntcompError(f"{scp}: no such file; {REMEDIES[name]}")
        return source

    @property
    def scps(self) -> list[Path]:
        return [self.folder / f"{name}.scp" for name in self.names]

    @property
    def directions(self) -> list[Direction]:
        """Of the LMs whose entropies these are; none for units."""
        both: list[Direction] = ["forward", "backward"]
        return [one for one in both if entropy_name(one) in self.names]

    @property
    def utterances(self) -> int:
        return sum(1 for _ in iter_table(self.scps[0]))

    def content_hashes(self) -> list[str]:
        """SHA-256 of each archive, from its stage's mark or, without one, from its bytes."""
        return [archive_sha256(self.folder, name, MARKS[name]) for name in self.names]

    def lm_sha256(self, direction: Direction) -> str | None:
        """The LM behind the entropies; None for somebody else's files."""
        inputs = read_stage(self.folder, entropy_name(direction, "stage"))["inputs"]
        return inputs.get("lm_sha256")

    def check_lm(self, direction: Direction, expected: str | None) -> None:
        """Raises EntcompError for entropies of another LM, if both are known."""
        scp = self.folder / f"{entropy_name(direction)}.scp"
        remedy = "rerun score-entropy, or use another EXP"
        check_same(expected, self.lm_sha256(direction), "LM", scp, remedy)

    def check_units(self, units: Path) -> None:
        """Raises EntcompError for entropies of other units than those in the folder ``units``."""
        expected = read_stage(units)["outputs"].get("sha256")
        for direction in self.directions:
            scp = self.folder / f"{entropy_name(direction)}.scp"
            inputs = read_stage(self.folder, entropy_name(direction, "stage"))["inputs"]
            check_same(expected, inputs.get("units_sha256"), "units", scp, "rerun score-entropy")

    def check_codebook(self, expected: str | None) -> None:
        """Raises EntcompError for vectors of another codebook, if both are known."""
        remedy = "rerun dump-units and score-entropy, or use another EXP"
        for name, scp in zip(self.names, self.scps, strict=True):
            found = read_stage(self.folder, MARKS[name])["inputs"].get("codebook_sha256")
            check_same(expected, found, "codebook", scp, remedy)

    def rows(
        self, skipped: SkippedUtterances, begin: int = 0, end: int | None = None
    ) -> Iterator[Row]:
        """Yield ``(utt_id, values, backward or None)`` of the utterances from begin to end.

        The bad ones go to ``skipped``.
        """
        rows = self._paired() if len(self.names) == 2 else self._single()
        fault = _unit_fault if self.names == ("units",) else _entropy_fault
        for utt_id, values, backward in islice(rows, begin, end):
            reason = fault(values) or (backward is not None and _pair_fault(values, backward))
            if reason:
                skipped.add(utt_id, f"{self.scps[0]}: {reason}")
            else:
                yield utt_id, values, backward

    def _single(self) -> Iterator[Row]:
        for utt_id, values in iter_vectors(self.scps[0]):
            yield utt_id, values, None

    def _paired(self) -> Iterator[Row]:
        backwards = iter_vectors(self.scps[1])
        for utt_id, values in iter_vectors(self.scps[0]):
            other, backward = next(backwards, ("the end", np.empty(0, np.float32)))
            if other != utt_id:
                raise EntcompError(
                    f"{self.scps[1]}: {other} where {utt_id} was due; rerun score-entropy in both "
                    "directions"
                )
            yield utt_id, values, backward


def _unit_fault(units: np.ndarray) -> str | None:
    if len(units) == 0:
        return "no units"
    return None if units.dtype.kind == "i" else f"{units.dtype} values are no units"


def _entropy_fault(entropy: np.ndarray) -> str | None:
    if len(entropy) == 0:
        return "no entropies"
    if entropy.dtype.kind != "f":
        return f"{entropy.dtype} values are no entropies"
    if np.isnan(entropy[0]):
        return "no entropy for unit 0 (NaN); rerun score-entropy"
    return "an infinite entropy; rerun score-entropy" if np.isinf(entropy).any() else None


def _pair_fault(forward: np.ndarray, backward: np.ndarray) -> str | None:
    if len(forward) != len(backward):
        return f"{len(forward)} forward but {len(backward)} backward entropies; rerun score-entropy"
    counts = [int(np.count_nonzero(~np.isnan(one))) for one in (forward, backward)]
    if counts[0] != counts[1]:
        return f"{counts[0]} forward but {counts[1]} backward predictions; use LMs of one kind"
    return None
