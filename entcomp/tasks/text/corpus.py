"""Streams of units with their groups, and the texts that go with them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from entcomp.errors import EntcompError, SkippedUtterances
from entcomp.kaldi.datadir import DataDir
from entcomp.kaldi.table import iter_table


@dataclass(frozen=True)
class Stream:
    """One utterance: ``units`` int32 (frames,) and ``groups`` int32 (G,), lengths in frames.

    Where a model is to serve many rates, ``draw`` gives other groups at each use, and ``groups``
    are those of the lowest rate.
    """

    utt_id: str
    units: np.ndarray
    groups: np.ndarray
    draw: Callable[[np.random.Generator], np.ndarray] | None = None


@dataclass
class Corpus:
    """Streams in order of sets and ids, each with its text."""

    streams: list[Stream] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.streams)

    def add(self, streams: Iterable[Stream], texts: dict[str, str], longest: int) -> str:
        """Append those of a set that have a text and at most ``longest`` units.

        Returns how many, and how many not, in words.
        """
        found = untold = too_long = 0
        for stream in streams:
            if stream.utt_id not in texts:
                untold += 1
            elif len(stream.units) > longest:
                too_long += 1
            else:
                found += 1
                self.streams.append(stream)
                self.texts.append(texts[stream.utt_id])
        reasons = {"without a text": untold, f"longer than {longest} units": too_long}
        left_out = ", ".join(f"{count} {reason}" for reason, count in reasons.items() if count)
        return f"{found} utterances" + (f"; left out: {left_out}" if left_out else "")

    def sha256(self) -> str:
        """A hash of all that a model learns from."""
        digest = hashlib.sha256()
        for stream, text in zip(self.streams, self.texts, strict=True):
            sizes = f"{len(stream.units)} {len(stream.groups)}"
            digest.update(f"{stream.utt_id}\n{text}\n{sizes}\n".encode())
            digest.update(stream.units.tobytes() + stream.groups.tobytes())
        return digest.hexdigest()


def ctc_length(pieces: Sequence[int]) -> int:
    """Groups that CTC needs at least: one a text piece, and one between equal pieces."""
    return len(pieces) + sum(one == other for one, other in pairwise(pieces))


def read_texts(
    data_set: DataDir, name: str, normalize: Callable[[str], str], skipped: SkippedUtterances
) -> dict[str, str]:
    """Normalised texts by utterance, from ``text`` or ``text.<lang>`` of a set.

    Raises EntcompError for a missing file; empty texts go to ``skipped``.
    """
    path = data_set.path / name
    if not path.exists():
        there = ", ".join(sorted(one.name for one in data_set.path.glob("text*"))) or "none"
        raise EntcompError(f"{path}: no such file; texts of this set: {there}")
    texts = {}
    for utt_id, text in iter_table(path, empty_values=True):
        if normal := normalize(text):
            texts[utt_id] = normal
        else:
            skipped.add(utt_id, f"{path}: empty transcript")
    return texts
