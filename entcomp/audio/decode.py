"""Audio files to blocks of mono samples: by libsndfile or, what it does not read, by PyAV."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from entcomp.audio.by_av import AvSound, open_av
from entcomp.audio.by_sndfile import SndfileSound, open_sndfile
from entcomp.audio.channels import to_mono
from entcomp.audio.headers import promised_samples
from entcomp.errors import EntcompError

RATES = 1_000, 768_000  # Hz; others are of damaged headers
ROUNDING_SECONDS = 0.1  # by which a segment may end after its recording, or a recording early
# No file decodes to more: 20 h for a megabyte, and a minute. Silence in FLAC comes to 5 h.
LONGEST_SECONDS, SECONDS_PER_BYTE = 60, 0.072

Source = Path | BinaryIO
Blocks = Iterator[np.ndarray]
Sound = SndfileSound | AvSound


class Part(NamedTuple):
    """A segment of a recording, in seconds; an ``end`` of None is the recording's own."""

    start: float
    end: float | None

    def first(self, rate: int) -> int:
        return round(self.start * rate)

    def last(self, rate: int) -> int | None:
        return None if self.end is None else round(self.end * rate)


def open_audio(
    source: Source, start: float | None, end: float | None, name: str, channel: int | None = None
) -> tuple[int, Blocks]:
    """Sample rate in Hz, and float32 (samples,) blocks from ``start`` to ``end`` (seconds).

    Channels are averaged, or ``channel`` (from 0) is taken alone, see `to_mono`. A named pipe is
    read to its end first, as formats need to seek. Raises EntcompError, some of it only when the
    blocks are read, for a file that neither library reads, that is cut off, or that decodes to more
    than 20 h for a megabyte; for a segment that starts after its end, or ends more than 0.1 s after
    it.
    """
    if isinstance(source, Path) and source.is_fifo():
        source = io.BytesIO(source.read_bytes())
    sound = _open(source, name)
    rate, part = sound.rate, Part(start or 0.0, end)
    if isinstance(sound, SndfileSound) and sound.frames is not None:
        _check_part(part, sound.frames, rate, name)
    blocks = _read(sound, source, part, name)
    return rate, to_mono(blocks, channel, name)


def count_samples(path: Path) -> int:
    """Samples of a recording at its own rate: as its header says or, without one, by decoding it.

    Raises EntcompError as `open_audio` does.
    """
    with closing(_open(path, str(path))) as sound:
        if isinstance(sound, SndfileSound) and sound.frames is not None:
            return sound.frames
    return sum(map(len, open_audio(path, None, None, str(path))[1]))


def audio_seconds(source: Path) -> float:
    """The duration that a file's header tells; 0 where it cannot be known without decoding."""
    if not source.is_file():  # what is in a pipe can be read but once
        return 0.0
    try:
        with closing(open_sndfile(source)) as sound:
            seconds = (sound.frames or 0) / sound.rate
    except OSError:
        return 0.0
    return seconds if seconds <= _longest(source) else 0.0


@dataclass(frozen=True)
class AudioInfo:
    """What a recording is before it is decoded; ``seconds`` may be unknown, which is 0."""

    sample_rate: int
    channels: int
    seconds: float


def audio_info(source: Path) -> AudioInfo:
    """Raises EntcompError for a file that neither library reads, or that is cut off."""
    with closing(_open(source, str(source))) as sound:
        return AudioInfo(sound.rate, sound.channels, (sound.frames or 0) / sound.rate)


def _open(source: Source, name: str) -> Sound:
    """By libsndfile; by PyAV what it does not open, and what has bytes but no samples for it."""
    first: SndfileSound | None = None
    reason: object = "no samples, or a header that does not know how many"
    try:
        first = open_sndfile(source)
    except OSError as error:
        reason = _reason(source, error)
    sound: Sound | None = first
    if first is None or not first.usable:
        other = open_av(source)
        if other is not None and first is not None:
            first.close()
        sound = other or (first if find_spec("av") else None)
    if sound is None:
        raise _unreadable(name, reason)
    try:
        if not RATES[0] <= sound.rate <= RATES[1]:
            raise _unreadable(name, f"its header says {sound.rate} samples a second")
        if isinstance(sound, SndfileSound) and sound.frames is not None:
            promised = promised_samples(source, sound.frames)
            _check_complete(sound.frames, promised, sound.rate, name)
    except EntcompError:
        sound.close()
        raise
    return sound


def _read(sound: Sound, source: Source, part: Part, name: str) -> Blocks:
    """(samples, channels) of a part; checks how many there are at the end."""
    first, last = part.first(sound.rate), part.last(sound.rate)
    position = first if isinstance(sound, SndfileSound) and sound.seekable else 0
    most = _longest(source) * sound.rate
    for block in _decoded(sound, source, position, name):
        begin, position = position, position + len(block)
        if position > most:
            raise _unreadable(name, f"more sound than {most / sound.rate:.0f} s, for its size")
        wanted = block[max(0, first - begin) : None if last is None else max(0, last - begin)]
        if len(wanted):
            yield wanted
        if last is not None and position >= last:
            return
    promised = sound.frames or promised_samples(source, position)
    _check_complete(position, promised, sound.rate, name)
    if position:
        _check_part(part, position, sound.rate, name)


def _decoded(sound: Sound, source: Source, position: int, name: str) -> Blocks:
    """Blocks from ``position`` on; where libsndfile fails, PyAV goes on, with checksums."""
    if isinstance(sound, AvSound):
        yield from _named(sound.blocks, name)
        return
    try:
        for block in sound.blocks(position):
            position += len(block)
            yield block
        return
    except OSError as error:
        other, reason = open_av(source), error
    if other is None or (other.rate, other.channels) != (sound.rate, sound.channels):
        if other is not None:
            other.close()
        raise _unreadable(name, reason)
    passed = 0
    for block in _named(lambda: other.blocks(strict=True), name):
        rest = block[max(0, position - passed) :]
        passed += len(block)
        if len(rest):
            yield rest


def _named(blocks: Callable[[], Blocks], name: str) -> Blocks:
    try:
        yield from blocks()
    except EntcompError as error:
        raise _unreadable(name, error) from None


def _check_complete(there: int, promised: int | None, rate: int, name: str) -> None:
    _check_end(promised or 0, there, rate, name, "its header says")


def _check_end(last: int, frames: int, rate: int, name: str, what: str = "ends at") -> None:
    """Raises EntcompError if ``last`` is far after the recording's ``frames`` samples."""
    if last - frames > ROUNDING_SECONDS * rate:
        raise EntcompError(
            f"{name}: {what} {last / rate:.6g} s, but the recording has {frames / rate:.6g} s; "
            "is it cut off?"
        )


def _check_part(part: Part, frames: int, rate: int, name: str) -> None:
    """Raises EntcompError for a segment that starts at the recording's end, or ends far after."""
    if part.first(rate) >= frames:
        raise EntcompError(f"{name}: starts at {part.start} s, but the recording ends before")
    _check_end(part.last(rate) or 0, frames, rate, name)


def _longest(source: Source) -> float:
    """Seconds that a file of its size may decode to."""
    return LONGEST_SECONDS + SECONDS_PER_BYTE * _size(source)


def _size(source: Source) -> int:
    if isinstance(source, Path):
        return source.stat().st_size
    position = source.tell()
    size = source.seek(0, os.SEEK_END)
    source.seek(position)
    return size


def _unreadable(name: str, reason: object) -> EntcompError:
    other = "" if find_spec("av") else ", or install entcomp[av], which reads more formats"
    return EntcompError(f"{name}: unreadable audio ({reason}); convert it to wav or flac{other}")


def _reason(source: Source, error: OSError) -> object:
    if isinstance(source, Path) and source.is_dir():
        return "a folder"
    return error if _size(source) else "an empty file"
