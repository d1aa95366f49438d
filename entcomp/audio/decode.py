"""Audio files to blocks of mono samples: by libsndfile or, what it does not know, by PyAV."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from entcomp.audio.notes import without_notes
from entcomp.errors import EntcompError

BLOCK_SECONDS = 10
RATES = 1_000, 768_000  # Hz; others are of damaged headers
UNKNOWN_LENGTH = 1 << 62  # libsndfile's for a FLAC that was written to a pipe

Source = Path | BinaryIO
Blocks = Iterator[np.ndarray]


def open_audio(
    source: Source, start: float | None, end: float | None, name: str
) -> tuple[int, Blocks]:
    """Sample rate in Hz, and float32 (samples,) blocks from ``start`` to ``end`` (seconds).

    Channels are averaged. A named pipe is read to its end first, as formats need to seek. Raises
    EntcompError for a file that neither library reads, and for one that ends before ``start``.
    """
    if isinstance(source, Path) and source.is_fifo():
        source = io.BytesIO(source.read_bytes())
    try:
        stream = _open_sndfile(source)
    except OSError as error:
        opened = _open_av(source, name)
        if opened is None:
            raise _unreadable(name, _reason(source, error)) from None
        rate, blocks = opened
        _check_rate(rate, name)
        return rate, _cut(blocks, start, end, rate, name)
    rate = stream.samplerate
    _check_rate(rate, name)
    if not stream.seekable():  # such as GSM
        return rate, _cut(_read(stream, 0, stream.frames, name), start, end, rate, name)
    first, last = _bounds(start, end, rate)
    if first >= stream.frames > 0:
        raise _ends_before(name, start)
    return rate, _read(stream, first, stream.frames if last is None else last, name)


def count_samples(path: Path) -> int:
    """Samples of a recording at its own rate: as its header says or, without one, by decoding it.

    Raises EntcompError for a file that neither library reads.
    """
    try:
        with _open_sndfile(path) as stream:
            if 0 < stream.frames < UNKNOWN_LENGTH:
                return int(stream.frames)
    except OSError:
        pass  # PyAV may read it
    return sum(map(len, open_audio(path, None, None, str(path))[1]))


def audio_seconds(source: Path) -> float:
    """The duration that a file's header tells; 0 where it cannot be known without decoding."""
    if not source.is_file():  # what is in a pipe can be read but once
        return 0.0
    try:
        with _open_sndfile(source) as stream:
            return stream.frames / stream.samplerate
    except OSError:
        return 0.0


@dataclass(frozen=True)
class AudioInfo:
    """What a recording is before it is decoded; ``seconds`` may be unknown, which is 0."""

    sample_rate: int
    channels: int
    seconds: float


def audio_info(source: Path) -> AudioInfo:
    """Raises EntcompError for a file that neither library reads."""
    try:
        with _open_sndfile(source) as stream:
            seconds = stream.frames / stream.samplerate
            return AudioInfo(stream.samplerate, stream.channels, seconds)
    except OSError as error:
        found = _find_stream(source)
        if found is None:
            raise _unreadable(str(source), _reason(source, error)) from None
        container, stream = found
        with container:
            seconds = float((stream.duration or 0) * stream.time_base)
            return AudioInfo(int(stream.rate), int(stream.channels), seconds)


def _open_sndfile(source: Source) -> Any:
    """Raises OSError for what libsndfile does not read."""
    import soundfile

    try:
        with without_notes():
            return soundfile.SoundFile(source)
    except soundfile.LibsndfileError as error:
        raise OSError(error.error_string) from None
    except TypeError:  # as soundfile goes by the ending
        raise OSError(".raw has no header") from None


def _check_rate(rate: int, name: str) -> None:
    if not RATES[0] <= rate <= RATES[1]:
        raise _unreadable(name, f"its header says {rate} samples a second")


def _bounds(start: float | None, end: float | None, rate: int) -> tuple[int, int | None]:
    return round((start or 0.0) * rate), None if end is None else round(end * rate)


def _ends_before(name: str, start: float | None) -> EntcompError:
    return EntcompError(f"{name}: starts at {start} s, but the recording ends before")


def _unreadable(name: str, reason: object) -> EntcompError:
    other = "" if find_spec("av") else ", or install entcomp[av], which reads more formats"
    return EntcompError(f"{name}: unreadable audio ({reason}); convert it to wav or flac{other}")


def _reason(source: Source, error: OSError) -> object:
    if isinstance(source, Path) and source.is_dir():
        return "a folder"
    size = source.stat().st_size if isinstance(source, Path) else source.seek(0, os.SEEK_END)
    return error if size else "an empty file"


def _read(stream: Any, first: int, last: int, name: str) -> Blocks:
    import soundfile

    left = last - first
    silent = without_notes if stream.format == "MP3" else nullcontext
    with stream:
        try:
            if first:
                with silent():
                    stream.seek(first)
            while left > 0:
                wanted = min(left, BLOCK_SECONDS * stream.samplerate)
                with silent():
                    block = stream.read(wanted, dtype="float32", always_2d=True)
                if len(block) == 0:
                    return
                yield block.mean(axis=1)
                left -= len(block)
        except (soundfile.SoundFileError, OSError) as error:
            raise _unreadable(name, error) from None


def _open_av(source: Source, name: str) -> tuple[int, Blocks] | None:
    """None where PyAV is not installed, or finds no audio."""
    found = _find_stream(source)
    if found is None:
        return None
    container, stream = found
    # A damaged header may leave a stream without a rate.
    return int(getattr(stream, "rate", None) or 0), _decode_av(container, stream, name)


def _find_stream(source: Source) -> tuple[Any, Any] | None:
    """PyAV's container and its first audio stream; None where there is none, or no PyAV."""
    try:
        import av
    except ImportError:
        return None
    try:
        if not isinstance(source, Path):
            source.seek(0)
        container = av.open(source)
    except (av.FFmpegError, OSError):
        return None
    if container.streams.audio:
        return container, container.streams.audio[0]
    container.close()
    return None


def _decode_av(container: Any, stream: Any, name: str) -> Blocks:
    import av

    convert = av.AudioResampler(format="fltp")  # the samples' type and layout, not their rate
    held: list[np.ndarray] = []
    try:
        with container:
            for frame in container.decode(stream):
                held += [one.to_ndarray().mean(axis=0) for one in convert.resample(frame)]
                if sum(map(len, held)) >= BLOCK_SECONDS * stream.rate:
                    yield np.concatenate(held)
                    held = []
    except av.FFmpegError as error:
        raise _unreadable(name, error) from None
    if held:
        yield np.concatenate(held)


def _cut(
    blocks: Iterable[np.ndarray], start: float | None, end: float | None, rate: int, name: str
) -> Blocks:
    """The samples between two times in seconds."""
    first, last = _bounds(start, end, rate)
    position = 0
    for block in blocks:
        begin, position = position, position + len(block)
        part = block[max(0, first - begin) : None if last is None else max(0, last - begin)]
        if len(part):
            yield part
    if first >= position > 0:
        raise _ends_before(name, start)
