"""Intervals of utterances, as aligners and other tokenizers write them: TextGrids and CTMs."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from entcomp.errors import EntcompError
from entcomp.files import sha256_of
from entcomp.formats.ctm import parse_ctm
from entcomp.formats.textgrid import EVERYONE, Interval, TextGrid, TierChoice, grid_of

TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2")


@dataclass(frozen=True)
class Labelled:
    """Intervals of an utterance of ``duration`` seconds, without silences.

    ``is_complete`` is False where ``duration`` is but the end of the last interval: a CTM does not
    tell more. ``passed_over`` has a line for each interval that cannot be; ``source`` is the file.
    """

    intervals: tuple[Interval, ...]
    duration: float
    is_complete: bool
    passed_over: tuple[str, ...]
    source: str


@dataclass(frozen=True)
class _Entry:
    """What there is of an utterance: bytes that change if it does, and its tiers."""

    source: str
    content: Callable[[], bytes]
    grid: Callable[[], TextGrid]
    is_complete: bool


class IntervalFiles:
    """Intervals by utterance in ``paths``: ``<utt_id>.TextGrid`` and CTM files, folders, tar files.

    Of folders (at any depth) and tar files, those named ``*.TextGrid``, ``*.ctm`` or ``ctm`` count,
    capitals do not matter; of files named outright, all but TextGrids and tar files are CTMs.
    TextGrids in folders are read when they are asked for, all others at once. ``tier`` is that of
    TextGrids, by default their only one; of a CTM it says which labels are silences, by default
    those of words. ``choice`` says which intervals of a tier count. Raises EntcompError for a
    damaged CTM or tar file, for a path without such files, and for two unequal files of one
    utterance, since either could be meant.
    """

    def __init__(
        self, paths: Sequence[Path], tier: str | None = None, choice: TierChoice = EVERYONE
    ) -> None:
        self.paths = tuple(paths)
        self.tier = tier
        self.choice = choice
        self._entries: dict[str, _Entry] = {}
        for path in paths:
            count = 0
            for utt_id, entry in _entries(path, tier or "words"):
                self._add(utt_id, entry)
                count += 1
            if not count:
                raise EntcompError(f"{path}: neither TextGrids nor CTM files with intervals in it")

    def __contains__(self, utt_id: object) -> bool:
        return utt_id in self._entries

    def __iter__(self) -> Iterator[str]:
        """Ids, sorted."""
        return iter(sorted(self._entries))

    def __str__(self) -> str:
        return ", ".join(map(str, self.paths))

    def sha256(self, utt_ids: Iterable[str]) -> str:
        """SHA-256 of what there is of these utterances."""
        found = ((one, self._entries[one]) for one in utt_ids if one in self._entries)
        hashes = ((utt_id, hashlib.sha256(entry.content())) for utt_id, entry in found)
        return sha256_of([(utt_id, one.hexdigest()) for utt_id, one in hashes])

    def find(self, utt_id: str) -> Labelled:
        """Raises EntcompError where there is nothing, or a TextGrid without the tier."""
        if utt_id not in self._entries:
            raise EntcompError(f"{self}: nothing of it there")
        entry = self._entries[utt_id]
        grid = entry.grid()
        tier = self.tier or _only_tier(grid)
        return Labelled(
            grid.tier(tier, self.choice),
            grid.duration,
            entry.is_complete,
            tuple(grid.passed_over(tier, self.choice)),
            entry.source,
        )

    def _add(self, utt_id: str, entry: _Entry) -> None:
        other = self._entries.setdefault(utt_id, entry)
        if other is not entry and other.content() != entry.content():
            raise EntcompError(
                f"{entry.source}: also in {other.source}, with other content; keep one of them"
            )


def _entries(path: Path, tier: str) -> Iterator[tuple[str, _Entry]]:
    """Each utterance of a file, folder or tar file."""
    if path.is_dir():
        for one in sorted(path.rglob("*")):
            if one.is_file() and (_is_textgrid(one) or _is_ctm(one)):
                yield from _entries(one, tier)
    elif not path.exists():
        raise EntcompError(f"{path}: no such file; check the path")
    elif path.name.lower().endswith(TAR_SUFFIXES):
        for name, content in _tar_members(path):
            yield from _of_content(name, f"{path}: {name}", partial(bytes, content), tier)
    else:
        yield from _of_content(path, str(path), path.read_bytes, tier)


def _tar_members(path: Path) -> Iterator[tuple[Path, bytes]]:
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                name = Path(member.name)
                if member.isfile() and (_is_textgrid(name) or _is_ctm(name)):
                    stream = archive.extractfile(member)
                    yield name, stream.read() if stream else b""
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        raise EntcompError(f"{path}: not a tar file ({error}); make it again") from None


def _of_content(
    name: Path, source: str, content: Callable[[], bytes], tier: str
) -> Iterator[tuple[str, _Entry]]:
    if _is_textgrid(name):
        yield name.stem, _Entry(source, content, lambda: grid_of(content(), source), True)
        return
    for utt_id, intervals in parse_ctm(content(), source).items():
        end = max(one.end for one in intervals)
        grid = TextGrid(end, {tier: intervals}, f"{source}: {utt_id}")
        told = repr(intervals).encode()
        yield utt_id, _Entry(grid.source, partial(bytes, told), partial(_same, grid), False)


def _same(grid: TextGrid) -> TextGrid:
    return grid


def _is_textgrid(path: Path) -> bool:
    return path.suffix.lower() == ".textgrid"


def _is_ctm(path: Path) -> bool:
    return path.suffix.lower() == ".ctm" or path.name.lower() == "ctm"


def _only_tier(grid: TextGrid) -> str:
    if len(grid.tiers) == 1:
        return next(iter(grid.tiers))
    there = ", ".join(grid.tiers) or "none"
    raise EntcompError(f"{grid.source}: has several tiers, or none; name one of them: {there}")
