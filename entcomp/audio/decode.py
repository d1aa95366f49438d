"""Audio files to blocks of mono samples: by libsndfile or, what it does not know, by PyAV."""

from __future__ import annotations

import io
import os
import re
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
ROUNDING_SECONDS = 0.1  # by so much a segment or a header may be longer than the recording
CANCELLED = 1e-3  # amplitude of a mix of channels, to that of the channels
# What libsndfile notes of WAV, AIFF, W64 and AU files that are shorter than their headers say.
SHORTENED = re.compile(r"^\s*(?:data|SSND|riff|Data Size)\s*: (\d+) \(should be (\d+)\)", re.M)
STREAMED = 0x7FFF0000  # a size in bytes of a header that was written before the size was known

Source = Path | BinaryIO
Blocks = Iterator[np.ndarray]


def open_audio(
    source: Source,
    start: float | None,
    end: float | None,
    name: str,
    channel: int | None = None,
) -> tuple[int, Blocks]:
    """Sample rate in Hz, and float32 (samples,) blocks from ``start`` to ``end`` (seconds).

    Channels are averaged, or ``channel`` (from 0) is taken. A named pipe is read to its end
    first, as formats need to seek. Raises EntcompError for a file that neither library reads, for
    one that is shorter than its header says, for a segment that is not all in it, for a channel
    that is not there, and, at the end of the blocks, for channels that cancel each other.
    """
    if isinstance(source, Path) and source.is_fifo():
        source = io.BytesIO(source.read_bytes())
    mix = Mix(channel, name)
    try:
        stream = _open_sndfile(source)
        if not 0 < stream.frames < UNKNOWN_LENGTH:
            raise OSError("no samples, or no length in its header")
    except OSError as error:
        opened = _open_av(source, name)
        if opened is None:
            raise _unreadable(name, _reason(source, error)) from None
        rate, blocks = opened
        _check_rate(rate, name)
        return rate, mix(_cut(blocks, start, end, rate, name))
    rate = stream.samplerate
    _check_rate(rate, name)
    _check_complete(stream, name)
    if not stream.seekable():  # such as GSM
        return rate, mix(_cut(_read(stream, 0, stream.frames, name), start, end, rate, name))
    first, last = _bounds(start, end, rate)
    if first >= stream.frames:
        raise _ends_before(name, start)
    _check_end(last or 0, stream.frames, rate, name)
    last = stream.frames if last is None else min(last, stream.frames)
    blocks = _read(stream, first, last, name)
    return rate, mix(_or_av(blocks, source, first, last, rate, name))


class Mix:
    """Blocks of (samples, channels) to blocks of (samples,): the mean, or one channel."""

    def __init__(self, channel: int | None, name: str) -> None:
        self.channel = channel
        self.name = name

    def __call__(self, blocks: Blocks) -> Blocks:
        """Raises EntcompError as `open_audio` says."""
        before = after = 0.0
        for block in blocks:
            channels = block.shape[1]
            if channels == 1:
                self._check(channels)
                yield block[:, 0]
                continue
            mono = self._one(block)
            before = max(before, float(np.abs(block).max(initial=0)))
            after = max(after, float(np.abs(mono).max(initial=0)))
            yield mono
        if self.channel is None and after < CANCELLED * before:
            raise EntcompError(
                f"{self.name}: silent as a mix: its channels cancel each other; "
                "choose one with --channel left or --channel right"
            )

    def _one(self, block: np.ndarray) -> np.ndarray:
        if self.channel is None:
            return block.mean(axis=1)
        self._check(block.shape[1])
        return np.ascontiguousarray(block[:, self.channel])

    def _check(self, channels: int) -> None:
        if (self.channel or 0) >= channels:
            raise EntcompError(
                f"{self.name}: no channel {(self.channel or 0) + 1}, it has {channels}; "
                "choose another with --channel"
            )


def count_samples(path: Path) -> int:
    """Samples of a recording at its own rate: as its header says or, without one, by decoding it.

    Raises EntcompError for a file that neither library reads.
    """
    try:
        with _open_sndfile(path) as stream:
            if 0 < stream.frames < UNKNOWN_LENGTH:
                _check_complete(stream, str(path))
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
            return stream.frames / stream.samplerate if stream.frames < UNKNOWN_LENGTH else 0.0
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
            known = stream.frames < UNKNOWN_LENGTH
            seconds = stream.frames / stream.samplerate if known else 0.0
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


def _check_complete(stream: Any, name: str) -> None:
    """Raises EntcompError for a file whose header tells of more samples than there are."""
    found = SHORTENED.search(stream.extra_info)
    said, there = (int(one) for one in found.groups()) if found else (0, 0)
    if there == 0 or said >= STREAMED:
        return
    whole = round(stream.frames * said / there)
    _check_end(whole, stream.frames, stream.samplerate, name, "its header says")


def _check_end(last: int, frames: int, rate: int, name: str, what: str = "ends at") -> None:
    """Raises EntcompError if ``last`` is far behind the recording's ``frames`` samples."""
    if last - frames > ROUNDING_SECONDS * rate:
        raise EntcompError(
            f"{name}: {what} {last / rate:.6g} s, but the recording has {frames / rate:.6g} s; "
            "is it cut off?"
        )


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
    """float32 (samples, channels), of samples ``first`` to ``last``."""
    import soundfile

    left = last - first
    # The length of an MP3 may be a guess.
    strict = stream.format != "MP3"
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
                    if strict:
                        _check_end(last, last - left, stream.samplerate, name)
                    return
                yield block
                left -= len(block)
        except (soundfile.SoundFileError, OSError) as error:
            raise _unreadable(name, error) from None


def _or_av(blocks: Blocks, source: Source, first: int, last: int, rate: int, name: str) -> Blocks:
    """Blocks of libsndfile or, if it cannot read the first one, of PyAV, if it finds them all."""
    try:
        block = next(blocks, None)
    except EntcompError as error:
        opened = _open_av(source, name, strict=True)
        if opened is None or opened[0] != rate:
            raise
        yield from _all_or(
            error, _cut(opened[1], first / rate, last / rate, rate, name), last - first
        )
        return
    if block is not None:
        yield block
        yield from blocks


def _all_or(error: EntcompError, blocks: Blocks, wanted: int) -> Blocks:
    """Blocks of so many samples; raises ``error`` if there are fewer, as damage is passed over."""
    try:
        for block in blocks:
            wanted -= len(block)
            yield block
    except EntcompError:
        raise error from None
    if wanted:
        raise error


def _open_av(source: Source, name: str, strict: bool = False) -> tuple[int, Blocks] | None:
    """None where PyAV is not installed, or finds no audio; ``strict`` minds each checksum."""
    found = _find_stream(source)
    if found is None:
        return None
    container, stream = found
    if strict:
        stream.codec_context.options = {"err_detect": "crccheck+bitstream+buffer+explode"}
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
        container = av.open(source, metadata_errors="replace")
    except (av.FFmpegError, OSError):
        return None
    if container.streams.audio:
        return container, container.streams.audio[0]
    container.close()
    return None


def _decode_av(container: Any, stream: Any, name: str) -> Blocks:
    """float32 (samples, channels)."""
    import av

    convert = av.AudioResampler(format="fltp")  # the samples' type and layout, not their rate
    held: list[np.ndarray] = []
    try:
        with container:
            for frame in container.decode(stream):
                held += [one.to_ndarray().T for one in convert.resample(frame)]
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
    if last is not None:
        _check_end(last, position, rate, name)
