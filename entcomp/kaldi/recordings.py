"""Recordings inside of archives, ``wav.ark:1234`` in wav.scp: Kaldi's and ESPnet's usual form."""

from __future__ import annotations

import io
import os
import re
from pathlib import Path
from typing import Any, BinaryIO

from entcomp.errors import EntcompError

_ENTRY = re.compile(r"(?P<archive>.+):(?P<offset>[0-9]{1,18})", re.DOTALL)


def split_entry(wav: str) -> tuple[Path, int] | None:
    """Archive and byte of ``archive:offset``; None for the path of a file."""
    match = _ENTRY.fullmatch(wav)
    if match is None or os.path.exists(wav):
        return None
    return Path(match["archive"]), int(match["offset"])


def wav_entry(path: Path) -> str:
    """A file's line in wav.scp, without its id: the absolute path.

    Raises EntcompError for a path that such a line cannot hold, or that would mean a command there.
    """
    entry = os.path.abspath(path)
    is_text = entry.encode(errors="surrogateescape").decode(errors="ignore") == entry
    if not is_text or entry != entry.strip() or set("\n\r") & set(entry) or entry.endswith("|"):
        raise EntcompError(f"{path}: wav.scp cannot hold this name; rename the file")
    return entry


def open_recording(archive: Path, offset: int) -> BinaryIO:
    """The recording at a byte of an archive, as a file of its own; nothing is read yet.

    Kaldi writes WAV files one after the other, ESPnet (by kaldiio) any format after its length.
    Raises EntcompError for something else, and for a recording that is longer than the archive.
    """
    where = f"{archive}:{offset}"
    try:
        if not archive.is_file():
            raise FileNotFoundError
        stream = open(archive, "rb")
    except (OSError, ValueError):
        raise EntcompError(f"{where}: no such archive") from None
    size = os.fstat(stream.fileno()).st_size
    if offset < size:
        stream.seek(offset)
        header = stream.read(16)
        begin, length = _extent(header, size - offset)
        if begin is not None:
            if begin + length > size - offset:
                stream.close()
                raise EntcompError(f"{where}: the recording is cut off; make the archive again")
            part: Any = _Part(stream, offset + begin, length)
            return io.BufferedReader(part)
    stream.close()
    raise EntcompError(f"{where}: no recording begins there; make wav.scp again")


def _extent(header: bytes, left: int) -> tuple[int | None, int]:
    """Where a recording begins in what is left of its archive, and its length in bytes."""
    if header.startswith(b"RIFF"):
        return 0, 8 + int.from_bytes(header[4:8], "little")
    if header.startswith(b"fLaC"):
        return 0, left  # its own header tells where it ends
    if header.startswith(b"AUDIO") and len(header) > 5 and header[5] <= 8:
        begin = 6 + header[5]
        return begin, int.from_bytes(header[6:begin], "little")
    return None, 0


class _Part(io.RawIOBase):
    """``length`` bytes of a file, as if nothing else were in it."""

    def __init__(self, stream: BinaryIO, begin: int, length: int) -> None:
        self._stream, self._begin, self._length = stream, begin, length
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left = max(0, self._length - self._position)
        view = memoryview(buffer)[:left]
        self._stream.seek(self._begin + self._position)
        count = self._stream.readinto(view)  # type: ignore[attr-defined]
        self._position += count
        return int(count)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._length}
        self._position = max(0, origin[whence] + offset)
        return self._position

    def close(self) -> None:
        self._stream.close()
        super().close()
