"""How the units of a set are grouped: not at all, by runs of equal units, or by a segmentation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from entcomp.artifacts.archive import Archive, Row, iter_rows
from entcomp.artifacts.experiment import Experiment, check_folder_name
from entcomp.artifacts.hashes import check_same
from entcomp.artifacts.runs import run_lengths
from entcomp.artifacts.segmentations import SegmentationInfo
from entcomp.artifacts.units import LONGEST, Units
from entcomp.errors import EntcompError
from entcomp.skipped import SkippedUtterances

# Groups that need no segmentation: one a unit, and one a run of equal units.
PLAIN_STREAMS = ("raw", "dedup")


@dataclass(frozen=True)
class Groups:
    """Groups of a set: int32 (groups,) for each utterance, their lengths in frames.

    Each is at least 1; together they are as many as the utterance's units. ``segmentation`` is
    ``raw``, ``dedup`` or the tag of a segmentation, whose ``archive`` lies in
    ``EXP/segments/<tag>/<set>``. One of ``units`` and ``archive`` may be None: an experiment may
    lack its units, and ``raw`` and ``dedup`` have no archive.

    >>> for utt_id, lengths in Groups.open(experiment, "dev", "rate15"):     # doctest: +SKIP
    ...     print(utt_id, len(lengths), lengths.sum())
    """

    segmentation: str
    units: Units | None
    archive: Archive | None

    @classmethod
    def open(cls, experiment: Experiment, set_name: str, segmentation: str) -> Groups:
        """Raises EntcompError where there are no groups, or those of another codebook or rule."""
        units = Units.find(experiment, set_name)
        if segmentation in PLAIN_STREAMS:
            return cls(segmentation, units or Units.open(experiment, set_name), None)
        info = check_segmentation(experiment, segmentation)
        archive = Archive(experiment.segments(segmentation) / set_name, "groups")
        if units is None and not archive.scp.exists():
            Units.open(experiment, set_name)  # names the first of the stages to run
        archive.check_exists(f"run segment on {set_name} first")
        if info and "rule" in archive.inputs and not info.made(archive.inputs):
            raise EntcompError(
                f"{archive.scp}: made by another rule than {info.path} has; run segment on all sets"
            )
        if units is not None:
            expected, found = units.outputs.get("sha256"), archive.outputs.get("units_sha256")
            check_same(expected, found, "units", archive.scp, "rerun segment")
        return cls(segmentation, units, archive)

    @classmethod
    def find(cls, experiment: Experiment, set_name: str, segmentation: str) -> Groups | None:
        """As `open`; None for a set that has no such groups."""
        scp = experiment.units(set_name) / "units.scp"
        if segmentation not in PLAIN_STREAMS:
            scp = experiment.segments(segmentation) / set_name / "groups.scp"
        return cls.open(experiment, set_name, segmentation) if scp.exists() else None

    @property
    def sha256(self) -> list[str]:
        """What names their content: the hashes of units and groups."""
        return [
            *([self.units.sha256] if self.units else []),
            self.archive.sha256 if self.archive else self.segmentation,
        ]

    def ids(self) -> Iterator[str]:
        """Ids in order, without a look into the archive."""
        source = self.archive or self.units
        assert source is not None
        return source.ids()

    def __iter__(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield ``(utt_id, lengths)``; raises EntcompError at the first bad utterance."""
        return self.rows()

    def rows(self, skipped: SkippedUtterances | None = None) -> Iterator[tuple[str, np.ndarray]]:
        """As `__iter__`; bad utterances go to ``skipped``."""
        return ((utt_id, vectors[0]) for utt_id, vectors in self._rows(skipped))

    def with_units(
        self, skipped: SkippedUtterances | None = None
    ) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
        """Yield ``(utt_id, units, lengths)``. Raises EntcompError where there are no units."""
        if self.units is None:
            raise EntcompError(
                f"{self.segmentation}: its units are not there; run dump-units first"
            )
        for utt_id, (lengths, units) in self._rows(skipped):
            yield utt_id, units, lengths

    def _rows(self, skipped: SkippedUtterances | None) -> Iterator[Row]:
        """Lengths and, where they are there, units."""
        if self.archive is not None:
            units = [self.units] if self.units else []
            yield from iter_rows([self.archive, *units], self._fault, skipped)
        elif self.units is not None:
            for utt_id, vector in self.units.rows(skipped):
                yield utt_id, [plain_groups(vector, self.segmentation), vector]

    def _fault(self, vectors: list[np.ndarray]) -> str | None:
        """What is wrong with an utterance's groups, if anything is."""
        lengths = vectors[0]
        if self.units is None:
            return groups_fault(lengths, None)
        return groups_fault(lengths, len(vectors[1])) or self.units.fault(vectors[1])


def groups_fault(lengths: np.ndarray, num_units: int | None) -> str | None:
    """What is wrong with lengths (groups,) of so many units, if known; None if nothing is."""
    if not len(lengths):
        return "no groups"
    if lengths.dtype.kind != "i":
        return f"{lengths.dtype} values are not groups"
    if lengths.min() < 1:
        return f"a group of {lengths.min()} frames; rerun segment"
    frames = int(lengths.sum(dtype=np.int64))
    if num_units is None:
        too_long = f"groups of {frames} frames are too long for one utterance"
        return too_long if frames > LONGEST else None
    if frames != num_units:
        return f"groups do not fit the units ({frames} frames, {num_units} units); rerun segment"
    return None


def plain_groups(units: np.ndarray, stream: str) -> np.ndarray:
    """Group lengths of ``raw`` (ones) or ``dedup`` (runs of equal units), int32 (groups,)."""
    return np.ones_like(units) if stream == "raw" else run_lengths(units)


def check_tag(tag: str, own: str | None = None) -> None:
    """Raises EntcompError for what names no folder, or groups that need no segmentation.

    ``own`` is the tag that the groups have by themselves, as ``dedup`` for runs of equal units.
    """
    if tag in PLAIN_STREAMS and tag != own:
        raise EntcompError(f"--tag {tag}: means groups that need no segmentation; name another")
    check_folder_name(tag)


def check_segmentation(experiment: Experiment, tag: str) -> SegmentationInfo | None:
    """What is known of a segmentation; None where nothing says what made the groups.

    Raises EntcompError for a tag without segmentation, or with one of another codebook.
    """
    folder = experiment.segments(tag)
    if not folder.is_dir():
        there = ", ".join(dict.fromkeys([*PLAIN_STREAMS, *experiment.segmentations()]))
        raise EntcompError(
            f"{folder}: no such segmentation; available: {there}; "
            f"give one of them as --segmentation, or run segment --tag {tag}"
        )
    info, units = experiment.find_segmentation(tag), experiment.find_units_info()
    if info and units:
        info.check_codebook(units.codebook_sha256)
    return info
