"""Audio by libsndfile: WAV, FLAC, ogg, MP3 and many more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from os import fsencode
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from entcomp.audio.headers import from_start
from entcomp.audio.notes import without_notes

UNKNOWN_LENGTH = 1 << 62  # libsndfile's for a FLAC that was written to a pipe
BLOCK_SECONDS = 10
BLOCK_VALUES = 1 << 23  # of all channels together: a header may say a thousand channels
MPEG_LENGTHS = (b"Xing", b"Info", b"VBRI")  # without one of these, an MP3's length is a guess


@dataclass
class SndfileSound:
    """An open file; ``frames`` is the samples that it has, None where its header knows no length.

    Not ``usable`` are files in which libsndfile finds no samples, or cannot tell how many.
    """

    rate: int
    channels: int
    frames: int | None
    seekable: bool
    usable: bool
    _stream: Any

    def close(self) -> None:
        self._stream.close()

    def blocks(self, first: int) -> Iterator[np.ndarray]:
        """float32 (samples, channels) from the sample ``first`` on.

        Raises OSError for what libsndfile cannot decode.
        """
        import soundfile

        silent = without_notes if self._stream.format == "MP3" else nullcontext
        wanted = max(1, min(BLOCK_SECONDS * self.rate, BLOCK_VALUES // self.channels))
        with self._stream as stream:
            try:
                if first:
                    with silent():
                        stream.seek(first)
                while True:
                    with silent():
                        block = stream.read(wanted, dtype="float32", always_2d=True)
                    if len(block) == 0:
                        return
                    yield block
            except soundfile.SoundFileError as error:
                raise OSError(str(error)) from None


def open_sndfile(source: Path | BinaryIO) -> SndfileSound:
    """Raises OSError for what libsndfile does not read."""
    import soundfile

    try:
        if not isinstance(source, Path):
            source.seek(0)
        with without_notes():
            # Bytes, as a name may be no UTF-8.
            stream = soundfile.SoundFile(fsencode(source) if isinstance(source, Path) else source)
    except soundfile.SoundFileError as error:
        raise OSError(getattr(error, "error_string", error)) from None
    except TypeError:  # as soundfile goes by the ending
        raise OSError(".raw has no header") from None
    usable = 0 < stream.frames < UNKNOWN_LENGTH
    if stream.format == "MP3":  # of which it reads only as much as it guesses
        usable = usable and _knows_length(source)
    frames = stream.frames if usable else None
    return SndfileSound(
        int(stream.samplerate),
        int(stream.channels),
        frames,
        bool(stream.seekable()),
        usable,
        stream,
    )


def _knows_length(source: Path | BinaryIO) -> bool:
    with from_start(source) as stream:
        return _in_first_frame(stream)


def _in_first_frame(stream: BinaryIO) -> bool:
    head = stream.read(10)
    if head.startswith(b"ID3"):  # a tag; its size in four times seven bits
        size = 0
        for byte in head[6:10]:
            size = size << 7 | byte & 0x7F
        stream.seek(10 + size)
        head = b""
    first = head + stream.read(4096)
    return any(name in first for name in MPEG_LENGTHS)
