"""Audio files to blocks of mono samples: by libsndfile or, what it does not read, by PyAV."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO

import numpy as np

from entcomp.audio.by_av import AvSound, open_av
from entcomp.audio.by_sndfile import SndfileSound, open_sndfile
from entcomp.audio.channels import to_mono
from entcomp.audio.headers import sound_extent
from entcomp.errors import EntcompError

RATES = 1_000, 768_000  # Hz; others are of damaged headers
ROUNDING_SECONDS = 0.1  # by which a segment may end after its recording, or a recording early
# No file decodes to more: 20 h for a megabyte, and a minute. Silence in FLAC comes to 5 h.
LONGEST_SECONDS, SECONDS_PER_BYTE = 60, 0.072

Source = Path | BinaryIO
Blocks = Iterator[np.ndarray]
Sound = SndfileSound | AvSound


def open_audio(
    source: Source, start: float | None, end: float | None, name: str, channel: int | None = None
) -> tuple[int, Blocks]:
    """Sample rate in Hz, and float32 (samples,) blocks from ``start`` to ``end`` (seconds).

    Channels are averaged, or ``channel`` is taken alone, see `channels.to_mono`. A named pipe is
    read to its end first, as formats need to seek. The blocks raise EntcompError, as this does, for
    a file that neither library reads; for one that is cut off, or ends before ``start`` or more
    than 0.1 s before ``end``; for one that decodes to more than 20 h for a megabyte.
    """
    if isinstance(source, Path) and source.is_fifo():
        source = io.BytesIO(source.read_bytes())
    sound = _open(source, name)
    rate = sound.rate
    first = round((start or 0.0) * rate)
    last = None if end is None else round(end * rate)
    if isinstance(sound, SndfileSound) and sound.frames is not None:
        _check_part(first, last, sound.frames, rate, name)
    blocks = _part(sound, source, first, last, name)
    return rate, to_mono(blocks, sound.channels, channel, name)


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
    sound: Sound | None = None
    reason: object = "no samples, or a header that does not know how many"
    try:
        sound = open_sndfile(source)
    except OSError as error:
        reason = _reason(source, error)
    if sound is None or not sound.usable:
        other = open_av(source)
        if other is not None and sound is not None:
            sound.close()
        sound = other or (sound if find_spec("av") else None)
    if sound is None:
        raise _unreadable(name, reason)
    try:
        if not RATES[0] <= sound.rate <= RATES[1]:
            raise _unreadable(name, f"its header says {sound.rate} samples a second")
        if isinstance(sound, SndfileSound) and sound.frames is not None:
            _check_complete(sound.frames, sound.promised, sound.rate, name)
    except EntcompError:
        sound.close()
        raise
    return sound


def _part(sound: Sound, source: Source, first: int, last: int | None, name: str) -> Blocks:
    """(samples, channels) from ``first`` to ``last``; checks how many there are at the end."""
    position = first if isinstance(sound, SndfileSound) and sound.seekable else 0
    most = _longest(source) * sound.rate
    for block in _decoded(sound, source, position, name):
        begin, position = position, position + len(block)
        if position > most:
            raise _unreadable(name, f"more sound than {most / sound.rate:.0f} s, for its size")
        part = block[max(0, first - begin) : None if last is None else max(0, last - begin)]
        if len(part):
            yield part
        if last is not None and position >= last:
            return
    promised = sound.frames or _in_proportion(source, position)
    _check_complete(position, promised, sound.rate, name)
    if position:
        _check_part(first, last, position, sound.rate, name)


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
    if other is None or other.rate != sound.rate or other.channels != sound.channels:
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


def _in_proportion(source: Source, samples: int) -> int | None:
    """What a header that counts bytes promises, if the bytes that are there hold ``samples``."""
    extent = sound_extent(source)
    if extent is None or not 0 < extent.holds < extent.promised:
        return None
    return samples * extent.promised // extent.holds


def _check_complete(there: int, promised: int | None, rate: int, name: str) -> None:
    if promised is not None and there < promised - ROUNDING_SECONDS * rate:
        raise EntcompError(
            f"{name}: incomplete: {there / rate:.2f} s of the {promised / rate:.2f} s that its "
            f"header promises can be read; copy it again"
        )


def _check_part(first: int, last: int | None, frames: int, rate: int, name: str) -> None:
    """Raises EntcompError for a segment that starts at the recording's end, or ends far after."""
    if first >= frames:
        raise EntcompError(f"{name}: starts at {first / rate:g} s, but the recording ends before")
    if last is not None and last > frames + ROUNDING_SECONDS * rate:
        raise EntcompError(
            f"{name}: the segment ends at {last / rate:g} s, but the recording at "
            f"{frames / rate:.2f} s; correct its times"
        )


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
