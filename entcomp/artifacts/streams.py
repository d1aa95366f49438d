"""The streams of units that every task reads: raw, deduplicated, or grouped by a segmentation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from entcomp.artifacts.experiment import Experiment
from entcomp.artifacts.groups import PLAIN_STREAMS, Groups, check_segmentation, plain_groups

Stream = tuple[str, np.ndarray, np.ndarray]


def check_stream(experiment: Experiment, segmentation: str) -> None:
    """Raises EntcompError for a tag without segmentation, or with one of another codebook."""
    if segmentation not in PLAIN_STREAMS:
        check_segmentation(experiment, segmentation)


def named_streams(experiment: Experiment, names: str) -> list[str]:
    """Tags, ``raw`` or ``dedup``, by commas; ``all`` are the tags of all segmentations.

    Raises EntcompError as `check_stream` does.
    """
    tags = [tag.strip() for tag in names.split(",")]
    tags = experiment.segmentations() if names == "all" else tags
    for tag in tags:
        check_stream(experiment, tag)
    return tags


def read_streams(experiment: Experiment, set_name: str, segmentation: str) -> Iterator[Stream]:
    """Yield ``(utt_id, units, group lengths in frames)`` of a set, in order of ids.

    ``segmentation`` is ``raw``, ``dedup`` or a tag. Utterances that segmentation left out are left
    out here. Raises EntcompError for units or groups of another codebook, and where the two do
    not fit together.
    """
    return Groups.open(experiment, set_name, segmentation).with_units()


def stream_scps(experiment: Experiment, set_name: str, segmentation: str) -> list[Path]:
    """The tables that `read_streams` reads: of units and, unless the stream is plain, of groups."""
    groups = Groups.open(experiment, set_name, segmentation)
    return [one.scp for one in (groups.units, groups.archive) if one is not None]


def stream_groups(segmentation: str, units: np.ndarray, *groups: np.ndarray) -> np.ndarray:
    """Group lengths, of an utterance's vectors in the tables that `stream_scps` names."""
    return groups[0] if groups else plain_groups(units, segmentation)


def stream_sha256(experiment: Experiment, set_name: str, segmentation: str) -> list[str]:
    """What names the content of a stream: hashes of its units and of its groups.

    Raises EntcompError for a set without units, or without that segmentation.
    """
    return Groups.open(experiment, set_name, segmentation).sha256


def group_rate(streams: Iterable[Stream], frame_shift: float) -> float:
    """Groups a second of audio, of what `read_streams` yields; ``frame_shift`` in seconds."""
    frames = count = 0
    for _, units, groups in streams:
        frames += len(units)
        count += len(groups)
    return count / max(frames * frame_shift, 1e-9)
