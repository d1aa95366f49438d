"""Kaldi data dirs: which sets there are, and the utterances in each."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from entcomp.errors import EntcompError
from entcomp.files import sha256_file, sha256_of
from entcomp.kaldi.recordings import split_entry
from entcomp.kaldi.table import iter_table, join, read_table

# Any of these makes a folder a data dir; units from elsewhere come without wav.scp.
MARKERS = ("wav.scp", "utt2spk", "text")


@dataclass(frozen=True)
class Utterance:
    """One utterance: a recording, or the part of one between two times.

    ``wav`` is the entry of wav.scp: a path, ``archive:offset`` or ``command |``. ``start`` and
    ``end`` are in seconds, as in ``segments``; None is the recording's own start or end.
    ``channel`` counts from 0; None is the mean of all channels.
    """

    utt_id: str
    wav: str
    start: float | None = None
    end: float | None = None
    channel: int | None = None


@dataclass(frozen=True)
class DataDir:
    """One set: a folder with ``wav.scp`` and, optionally, ``segments``, ``text``, ``utt2spk``."""

    name: str
    path: Path
    channel: int | None = None  # of each recording, from 0; the mean of all without

    def utterances(self) -> Iterator[Utterance]:
        """Utterances in order of id. Raises EntcompError naming file and line."""
        segments = self.path / "segments"
        if not segments.exists():
            for utt_id, wav in iter_table(self.path / "wav.scp"):
                yield Utterance(utt_id, self._resolve(wav), channel=self.channel)
            return
        recordings = read_table(self.path / "wav.scp")
        for utt_id, row in iter_table(segments):
            recording, start, end = _parse_segment(segments, utt_id, row)
            if recording not in recordings:
                raise EntcompError(
                    f"{segments}: {utt_id}: recording {recording} is not in wav.scp; add it"
                )
            wav = self._resolve(recordings[recording])
            yield Utterance(utt_id, wav, start, end, self.channel)

    def ids(self) -> Iterator[str]:
        """Ids in order; unlike `utterances`, this looks for no recording on the disk."""
        return (utt_id for utt_id, _ in self._rows())

    def ids_without_audio(self) -> list[str]:
        """Utterances that stand in ``text`` only; empty where there is no ``text``."""
        if not (self.path / "text").exists():
            return []
        texts = iter_table(self.path / "text", empty_values=True)
        return [row[0] for row, found in join(texts, self._rows()) if found is None]

    def _rows(self) -> Iterator[tuple[str, str]]:
        source = "segments" if (self.path / "segments").exists() else "wav.scp"
        return iter_table(self.path / source)

    def audio_sha256(self) -> str:
        """What names recordings and segments: SHA-256 of ``wav.scp``, ``segments``, ``channel``."""
        tables = [self.path / "wav.scp", self.path / "segments"]
        found: dict[str, object] = {one.name: sha256_file(one) for one in tables if one.exists()}
        return sha256_of(found | ({} if self.channel is None else {"channel": self.channel}))

    def _resolve(self, wav: str) -> str:
        """Kaldi's paths are relative to the working directory; else try the data dir itself."""
        if wav.endswith("|") or os.path.isabs(wav) or os.path.exists(wav):
            return wav
        archive = split_entry(wav)
        if archive is not None and archive[0].exists():
            return wav
        beside = self.path / (wav if archive is None else archive[0])
        return str(self.path / wav) if beside.exists() else wav


def audio_bytes(utterances: Iterable[Utterance]) -> int:
    """Sum of the file sizes of utterances: tells cheaply that a recording was replaced."""
    paths = ((split_entry(one.wav) or (Path(one.wav), 0))[0] for one in utterances)
    return sum(path.stat().st_size for path in paths if path.is_file())


def find_sets(data: Path, patterns: str | None = None, channel: int | None = None) -> list[DataDir]:
    """The sets of DATA: itself if it is a data dir, else those of its folders that are.

    ``patterns`` are names or globs divided by commas (``train_*,dev_en``), each of which must fit
    at least one set; ``channel`` is that of `DataDir`. Raises EntcompError if DATA holds no set or
    a pattern fits none.
    """
    if not data.is_dir():
        raise EntcompError(f"{data}: no such data dir")
    if _is_data_dir(data):
        found = [DataDir(set_name(data), data, channel)]
    else:
        folders = (path for path in sorted(data.iterdir()) if _is_data_dir(path))
        found = [DataDir(path.name, path, channel) for path in folders]
    if not found:
        raise EntcompError(f"{data}: no data dir (with {', '.join(MARKERS)}) here or one below")
    if patterns is None:
        return found
    chosen: set[str] = set()
    for pattern in patterns.split(","):
        names = {one.name for one in found if fnmatchcase(one.name, pattern.strip())}
        if not names:
            there = ", ".join(one.name for one in found)
            raise EntcompError(f"{data}: no set '{pattern}'; available: {there}")
        chosen |= names
    return [one for one in found if one.name in chosen]


def preferred(found: list[DataDir], *prefixes: str) -> list[DataDir]:
    """The sets that begin with the first of ``prefixes`` that any set begins with; else all."""
    for prefix in prefixes:
        if chosen := [one for one in found if one.name.startswith(prefix)]:
            return chosen
    return found


def set_name(data: Path) -> str:
    """A data dir's own name, also where it is ``.`` or a link to another folder."""
    return os.path.basename(os.path.abspath(data))


def _is_data_dir(path: Path) -> bool:
    return path.is_dir() and any((path / marker).exists() for marker in MARKERS)


def _parse_segment(path: Path, utt_id: str, row: str) -> tuple[str, float, float | None]:
    """``recording start end``; an end of -1 is the recording's own, as in Kaldi."""
    try:
        recording, start, end = row.split()
        times = float(start), float(end)
    except ValueError:
        raise EntcompError(
            f"{path}: {utt_id}: expected 'recording start end', got {row!r}"
        ) from None
    last = float("inf") if times[1] == -1 else times[1]
    if not 0 <= times[0] < last or not math.isfinite(times[1]):
        raise EntcompError(
            f"{path}: {utt_id}: from {start} to {end} s; fix it: 0 <= start < end, or an end of -1"
        )
    return recording, times[0], None if times[1] == -1 else times[1]
