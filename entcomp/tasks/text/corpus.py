"""Streams of units with their groups, and the texts that go with them."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import numpy as np

from entcomp.artifacts.experiment import Experiment
from entcomp.artifacts.streams import read_streams, stream_groups, stream_scps
from entcomp.errors import EntcompError
from entcomp.kaldi.datadir import DataDir
from entcomp.kaldi.table import iter_table, join
from entcomp.skipped import SkippedUtterances
from entcomp.training.utterances import ArchiveOffset, iter_offsets

# Id and entropies, forward and backward (or units and None): what groups are drawn from.
Row = tuple[str, np.ndarray, np.ndarray | None]


@dataclass(frozen=True)
class Stream:
    """One utterance: ``units`` int32 (frames,) and ``groups`` int32 (G,), lengths in frames.

    Where a model is to serve many rates, other groups are drawn from ``row`` at each use, and
    ``groups`` are those of the lowest rate.
    """

    utt_id: str
    units: np.ndarray
    groups: np.ndarray
    row: Row | None = None


class StreamSource(Protocol):
    """What streams are read from, one after the other at first, then by their places."""

    def streams(self, set_name: str) -> Iterator[Stream]:
        """The streams of a set, in order of ids. Raises EntcompError for what does not fit."""

    def scps(self, set_name: str) -> list[Path]:
        """The tables that name the places of all vectors that `stream` takes."""

    def stream(self, utt_id: str, units: np.ndarray, *others: np.ndarray) -> Stream:
        """The same stream again."""


@dataclass(frozen=True)
class SegmentedStreams:
    """`StreamSource` of plain units (``raw``, ``dedup``), or of a tag's groups."""

    experiment: Experiment
    segmentation: str

    def streams(self, set_name: str) -> Iterator[Stream]:
        return (Stream(*row) for row in read_streams(self.experiment, set_name, self.segmentation))

    def scps(self, set_name: str) -> list[Path]:
        return stream_scps(self.experiment, set_name, self.segmentation)

    def stream(self, utt_id: str, units: np.ndarray, *groups: np.ndarray) -> Stream:
        return Stream(utt_id, units, stream_groups(self.segmentation, units, *groups))


def read_rows(
    source: StreamSource, set_name: str, texts: Iterable[tuple[str, str]], longest: int
) -> Iterator[tuple[str | ArchiveOffset, ...]]:
    """Yield id, text and the places of the vectors of what `pair` leaves of a set."""
    pairs = pair(source.streams(set_name), texts, longest, set_name)
    ids = ((stream.utt_id, text) for stream, text in pairs)
    for row, *places in join(ids, *map(iter_offsets, source.scps(set_name))):
        yield *row, *(place for _, place in places)


@dataclass(frozen=True)
class RowDecoder:
    """Makes a stream and its text of a row of `read_rows`, once its vectors are read."""

    source: StreamSource

    def __call__(
        self, utt_id: str, text: str, units: np.ndarray, *others: np.ndarray
    ) -> tuple[Stream, str]:
        return self.source.stream(utt_id, units, *others), text


class Corpus:
    """Streams with their texts, in order of sets and ids; they may lie on disk.

    ``lengths`` int64 (utterances,) are in units. ``sha256`` names all that a model learns from.
    ``draw`` gives the groups of a row at a rate that it draws.
    """

    def __init__(
        self,
        utterances: Sequence[tuple[Stream, str]],
        draw: Callable[[Row, np.random.Generator], np.ndarray] | None = None,
    ) -> None:
        self.utterances, self.draw = utterances, draw
        lengths, digest = array("q"), hashlib.sha256()
        for stream, text in utterances:
            sizes = f"{len(stream.units)} {len(stream.groups)}"
            digest.update(f"{stream.utt_id}\n{text}\n{sizes}\n".encode())
            digest.update(stream.units.tobytes() + stream.groups.tobytes())
            lengths.append(len(stream.units))
        self.lengths = np.array(lengths)
        self.sha256 = digest.hexdigest()

    def __len__(self) -> int:
        return len(self.utterances)


def pair(
    streams: Iterable[Stream], texts: Iterable[tuple[str, str]], longest: int, name: str
) -> Iterator[tuple[Stream, str]]:
    """Yield those of a set that have a text and at most ``longest`` units; both in order of ids.

    Prints how many they are, and how many are left out.
    """
    found = untold = too_long = 0
    for (_, stream), text in join(((one.utt_id, one) for one in streams), texts):
        if text is None:
            untold += 1
        elif len(stream.units) > longest:
            too_long += 1
        else:
            found += 1
            yield stream, text[1]
    reasons = {"without a text": untold, f"longer than {longest} units": too_long}
    left_out = ", ".join(f"{count} {reason}" for reason, count in reasons.items() if count)
    print(f"{name}: {found} utterances" + (f"; left out: {left_out}" if left_out else ""))


def ctc_length(pieces: Sequence[int]) -> int:
    """Groups that CTC needs at least: one a text piece, and one between equal pieces."""
    return len(pieces) + sum(one == other for one, other in pairwise(pieces))


def read_texts(
    data_set: DataDir, name: str, normalize: Callable[[str], str], skipped: SkippedUtterances
) -> Iterator[tuple[str, str]]:
    """Yield ids and normalised texts, from ``text`` or ``text.<lang>`` of a set.

    Raises EntcompError for a missing file; empty texts go to ``skipped``.
    """
    path = data_set.path / name
    if not path.exists():
        there = ", ".join(sorted(one.name for one in data_set.path.glob("text*"))) or "none"
        raise EntcompError(f"{path}: no such file; texts of this set: {there}")
    for utt_id, text in iter_table(path, empty_values=True):
        if normal := normalize(text):
            yield utt_id, normal
        else:
            skipped.add(utt_id, f"{path}: empty transcript")
