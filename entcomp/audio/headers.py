"""How many bytes of sound a header promises: libsndfile passes over a file that was cut off."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple

# Programs that write to a pipe put 2 GiB, 4 GiB, or a little less, for a size that they don't know.
UNKNOWN_FROM = 0x7FFF0000
W64_RIFF, W64_DATA = b"riff\x2e\x91\xcf\x11", b"data\xf3\xac\xd3\x11"
NIST_WORDS = (b"sample_count", b"channel_count", b"sample_n_bytes")

Order = Literal["little", "big"]


class Extent(NamedTuple):
    """Bytes of sound: as ``promised`` by the header, and as the file ``holds`` from there on."""

    promised: int
    holds: int


def sound_extent(source: Path | BinaryIO) -> Extent | None:
    """The extent of WAV, RF64, W64, AIFF, AU, CAF and NIST files.

    None where the header knows no length, as that of a stream, and for other formats.
    """
    with from_start(source) as stream:
        return _extent(stream)


def promised_samples(source: Path | BinaryIO, samples: int) -> int | None:
    """What a header that counts bytes promises, if the bytes that are there hold ``samples``.

    None where it promises no more than that, and for other formats.
    """
    extent = sound_extent(source)
    if extent is None or not 0 < extent.holds < extent.promised:
        return None
    return samples * extent.promised // extent.holds


@contextmanager
def from_start(source: Path | BinaryIO) -> Iterator[BinaryIO]:
    """A file from its first byte on; an open one stands afterwards where it stood before."""
    if isinstance(source, Path):
        with open(source, "rb") as stream:
            yield stream
        return
    position = source.tell()
    try:
        source.seek(0)
        yield source
    finally:
        source.seek(position)


def _extent(stream: BinaryIO) -> Extent | None:
    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    head = stream.read(1024)
    order: Order = "little" if head[:4] in (b"RIFF", b"RF64", b"BW64", b"dns.") else "big"
    if head.startswith((b"RIFF", b"RIFX", b"FORM", b"RF64", b"BW64")):
        return _of_chunks(stream, size, order)
    if head.startswith(W64_RIFF):
        return _found(_w64_chunks(stream, size), W64_DATA, size)
    if head.startswith(b"caff"):
        return _found(_caf_chunks(stream, size), b"data", size)
    if head.startswith((b".snd", b"dns.")) and len(head) >= 12:
        begin, promised = (int.from_bytes(head[at : at + 4], order) for at in (4, 8))
        return _known(begin, promised, size, UNKNOWN_FROM)
    if head.startswith(b"NIST_1A"):
        return _nist(head, size)
    return None


def _of_chunks(stream: BinaryIO, size: int, order: Order) -> Extent | None:
    """RIFF and its kin, AIFF: an id of four bytes, a size of four, and so many bytes, padded."""
    position, in_ds64 = 12, 0
    while position + 8 <= size:
        stream.seek(position)
        name, length = stream.read(4), int.from_bytes(stream.read(4), order)
        if name == b"ds64":
            stream.seek(8, os.SEEK_CUR)
            in_ds64 = int.from_bytes(stream.read(8), "little")
        if name in (b"data", b"SSND"):
            if in_ds64 and length == 0xFFFFFFFF:
                return Extent(in_ds64, size - position - 8)
            return _known(position + 8, length, size, UNKNOWN_FROM)
        position += 8 + length + length % 2
    return None


def _w64_chunks(stream: BinaryIO, size: int) -> Iterator[tuple[bytes, int, int]]:
    position = 40
    while position + 24 <= size:
        stream.seek(position)
        name, length = stream.read(16)[:8], int.from_bytes(stream.read(8), "little")
        yield name, position + 24, max(0, length - 24)
        position += max(24, -(-length // 8) * 8)


def _caf_chunks(stream: BinaryIO, size: int) -> Iterator[tuple[bytes, int, int]]:
    position = 8
    while position + 12 <= size:
        stream.seek(position)
        name, length = stream.read(4), int.from_bytes(stream.read(8), "big")
        yield name, position + 12, length
        position += 12 + length


def _found(chunks: Iterator[tuple[bytes, int, int]], wanted: bytes, size: int) -> Extent | None:
    for name, begin, length in chunks:
        if name == wanted:
            return _known(begin, length, size, 1 << 62)
    return None


def _known(begin: int, promised: int, size: int, unknown_from: int) -> Extent | None:
    """None for a size that only a stream has: nothing, or more than it could know."""
    holds = max(0, size - begin)
    if promised == 0 or (promised >= unknown_from and promised > holds):
        return None
    return Extent(promised, holds)


def _nist(head: bytes, size: int) -> Extent | None:
    """NIST's SPHERE: lines of ``name -i value`` in a header whose length is its second line."""
    words = {line.split()[0]: line.split()[-1] for line in head.splitlines() if line.split()}
    try:
        begin = int(head.splitlines()[1])
        count, channels, width = (int(words[one]) for one in NIST_WORDS)
    except (IndexError, KeyError, ValueError):
        return None
    return _known(begin, count * channels * width, size, 1 << 62)
