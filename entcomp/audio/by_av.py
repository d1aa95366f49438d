"""Audio by PyAV, FFmpeg's libraries: what libsndfile does not know, or gives up."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from entcomp.errors import EntcompError

# Containers whose headers know a track's length. FFmpeg guesses it for others, by their bit rate.
KNOW_LENGTH = {"mov,mp4,m4a,3gp,3g2,mj2", "asf", "flac", "tta", "ape", "wv"}
KNOW_LENGTH_OF_ALL = "matroska,webm"  # of the longest track, which may be a film's
BLOCK_SECONDS = 10
HEADERLESS = {".g722": "g722"}  # known by their names alone; one rate only


@dataclass
class AvSound:
    """An open audio stream; ``frames`` is its length in samples where a header promises one."""

    rate: int
    channels: int
    frames: int | None
    _stream: Any
    _files: ExitStack

    def close(self) -> None:
        self._files.close()

    def blocks(self, strict: bool = False) -> Iterator[np.ndarray]:
        """float32 (samples, channels) from the beginning.

        ``strict`` fails at a wrong checksum, as FLAC always. Raises EntcompError, without a name,
        for what FFmpeg cannot decode.
        """
        import av

        stream = self._stream
        if strict or stream.container.format.name == "flac":
            stream.codec_context.options = {"err_detect": "crccheck+bitstream+buffer+explode"}
        convert = av.AudioResampler(format="fltp")  # the samples' type and layout, not their rate
        held: list[np.ndarray] = []
        count = 0
        with self._files:
            try:
                for frame in stream.container.decode(stream):
                    if frame.sample_rate != self.rate:
                        raise EntcompError(f"its rate changes to {frame.sample_rate} Hz")
                    for one in convert.resample(frame):
                        held.append(one.to_ndarray().T)
                        count += len(held[-1])
                    if count >= BLOCK_SECONDS * self.rate:
                        yield np.concatenate(held)
                        held, count = [], 0
            # ValueError: FFmpeg's frames change their channels.
            except (av.FFmpegError, OSError, ValueError) as error:
                raise EntcompError(str(error)) from None
            if held:
                yield np.concatenate(held)


class SeekableInput:
    """A file as FFmpeg reads it; PyAV would print a traceback for a place that there is not."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.read = file.read
        self.tell = file.tell

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        try:
            return self._file.seek(offset, whence)
        except (OSError, ValueError):
            return -1


def open_av(source: Path | BinaryIO) -> AvSound | None:
    """The first audio stream of a file; None where there is none, or no PyAV."""
    try:
        import av
    except ImportError:
        return None
    with ExitStack() as files:
        try:
            # Not by its name, of which FFmpeg reads what is before a colon as a protocol.
            file = files.enter_context(open(source, "rb")) if isinstance(source, Path) else source
            file.seek(0)
            options = {"protocol_whitelist": "none"}  # playlists lead to no other file
            kind = HEADERLESS.get(source.suffix) if isinstance(source, Path) else None
            container = files.enter_context(
                av.open(
                    SeekableInput(file), format=kind, options=options, metadata_errors="replace"
                )
            )
        except (av.FFmpegError, OSError, ValueError):
            return None
        if not container.streams.audio:
            return None
        stream = container.streams.audio[0]
        # A damaged header may leave a stream without a rate, or without a codec.
        rate = int(getattr(stream, "rate", None) or 0)
        channels = int(getattr(stream, "channels", None) or 0)
        frames = _promised(container, stream, rate)
        return AvSound(rate, channels, frames, stream, files.pop_all())
    return None


def _promised(container: Any, stream: Any, rate: int) -> int | None:
    seconds = None
    if container.format.name in KNOW_LENGTH and stream.duration:
        seconds = float(stream.duration * stream.time_base)
    elif (
        container.format.name == KNOW_LENGTH_OF_ALL
        and container.duration
        and len(container.streams) == 1
    ):
        seconds = container.duration / 1e6
    return None if seconds is None or seconds < 0 else round(seconds * rate)
