"""The streams of units that every task reads: raw, deduplicated, or grouped by a segmentation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from entcomp.artifacts.experiment import Experiment, check_same
from entcomp.artifacts.stage import archive_sha256, read_stage
from entcomp.errors import EntcompError
from entcomp.files import read_json
from entcomp.kaldi.ark import iter_vectors
from entcomp.kaldi.table import join

# Streams that need no segmentation: a group a unit, and a group a run of equal units.
PLAIN_STREAMS = ("raw", "dedup")


def check_segments(experiment: Experiment, segments: str) -> None:
    """Raises EntcompError for a tag without segmentation, or with one of another codebook."""
    if segments in PLAIN_STREAMS:
        return
    folder = experiment.segments(segments)
    if not folder.is_dir():
        there = sorted(path.name for path in folder.parent.glob("*") if path.is_dir())
        names = dict.fromkeys([*PLAIN_STREAMS, *there])
        raise EntcompError(
            f"{folder}: no such segmentation; there are: {', '.join(names)}; "
            f"give one of them as --segmentation, or run segment --tag {segments}"
        )
    threshold = folder / "threshold.json"
    if threshold.exists():
        found = read_json(threshold).get("codebook_sha256")
        expected = experiment.units_info().codebook_sha256
        check_same(expected, found, "codebook", threshold, "rerun segment, or use another EXP")


def read_streams(
    experiment: Experiment, set_name: str, segments: str
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield ``(utt_id, units, group lengths in frames)`` of a set, in order of ids.

    ``segments`` is ``raw``, ``dedup`` or a tag. Utterances that segmentation left out are left
    out here. Raises EntcompError for units or groups of another codebook, and where the two do
    not fit together.
    """
    units_scp = _units_scp(experiment, set_name)
    found = read_stage(units_scp.parent)["inputs"].get("codebook_sha256")
    expected = experiment.units_info().codebook_sha256
    check_same(expected, found, "codebook", units_scp, "rerun dump-units for this set")
    units = iter_vectors(units_scp)
    if segments in PLAIN_STREAMS:
        for utt_id, vector in units:
            yield utt_id, vector, plain_groups(vector, segments)
        return
    check_segments(experiment, segments)
    scp = _groups_scp(experiment, set_name, segments)
    for (utt_id, groups), row in join(iter_vectors(scp), units):
        if row is None or groups.sum() != len(row[1]):
            raise EntcompError(
                f"{scp}: {utt_id}: groups do not fit the units; rerun segment for {set_name}"
            )
        yield utt_id, row[1], groups


def stream_scps(experiment: Experiment, set_name: str, segments: str) -> list[Path]:
    """The tables behind `read_streams`: of units and, unless the stream is plain, of groups."""
    units = _units_scp(experiment, set_name)
    if segments in PLAIN_STREAMS:
        return [units]
    check_segments(experiment, segments)
    return [units, _groups_scp(experiment, set_name, segments)]


def stream_sha256(experiment: Experiment, set_name: str, segments: str) -> list[str]:
    """What names the content of a stream: hashes of its units and of its groups.

    Raises EntcompError for a set without units, or without that segmentation.
    """
    units = archive_sha256(_units_scp(experiment, set_name).parent, "units")
    if segments in PLAIN_STREAMS:
        return [units, segments]
    return [units, archive_sha256(_groups_scp(experiment, set_name, segments).parent, "groups")]


def stream_rate(experiment: Experiment, set_name: str, segments: str) -> float:
    """`group_rate` of a set; the errors are those of `read_streams`."""
    streams = read_streams(experiment, set_name, segments)
    return group_rate(streams, experiment.units_info().frame_shift)


def group_rate(streams: Iterable[tuple[str, np.ndarray, np.ndarray]], frame_shift: float) -> float:
    """Groups a second of audio, of what `read_streams` yields; ``frame_shift`` in seconds."""
    frames = count = 0
    for _, units, groups in streams:
        frames += len(units)
        count += len(groups)
    return count / max(frames * frame_shift, 1e-9)


def plain_groups(units: np.ndarray, stream: str) -> np.ndarray:
    """Group lengths of ``raw`` (ones) or ``dedup`` (runs of equal units) streams."""
    if stream == "raw":
        return np.ones_like(units)
    ends = np.flatnonzero(np.append(units[1:] != units[:-1], True)) + 1
    return np.diff(ends, prepend=0).astype(np.int32)


def _units_scp(experiment: Experiment, set_name: str) -> Path:
    return _table(experiment.units(set_name) / "units.scp", "dump-units")


def _groups_scp(experiment: Experiment, set_name: str, segments: str) -> Path:
    return _table(experiment.segments(segments) / set_name / "groups.scp", "segment")


def _table(scp: Path, stage: str) -> Path:
    if not scp.exists():
        raise EntcompError(f"{scp}: no such file; run {stage} for this set first")
    return scp
