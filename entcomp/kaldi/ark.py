"""Vectors in Kaldi archives, written complete or not at all, read one after the other."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

import kaldiio
import numpy as np

from entcomp.errors import EntcompError
from entcomp.files import atomic_path, naming_file
from entcomp.kaldi.table import check_id, iter_table

# kaldiio raises on, or silently changes, every other type.
DTYPES = {np.dtype(name) for name in ("int32", "float32", "float64")}
_INT32_ELEMENT = np.dtype([("size", "i1"), ("value", "<i4")])
_VECTORS = {b"\4": _INT32_ELEMENT, b"FV \4": np.dtype("<f4"), b"DV \4": np.dtype("<f8")}
# What follows a vector: the end of its archive, or the key of the next entry.
_ENTRY_ENDS = re.compile(rb"\Z|[^\0-\x20]+(?: \0B|\Z)")
_LONGEST_KEY = 1024


class ArkWriter:
    """Write ``name.ark`` and ``name.scp`` in a folder; both appear only when the block ends well.

    >>> with ArkWriter(folder, "units") as ark:          # doctest: +SKIP
    ...     ark.write("utt1", np.array([3, 3, 7], np.int32))
    >>> ark.summary                                       # doctest: +SKIP
    {'utterances': 1, 'frames': 3, 'sha256': '...'}

    Utterances must come unique and sorted, so that a reader can merge tables without a dict.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.ark = folder / f"{name}.ark"
        self.scp = folder / f"{name}.scp"
        self.utterances = 0
        self.frames = 0
        self._digest = hashlib.sha256()
        self._offset = 0
        self._previous = ""

    def __enter__(self) -> ArkWriter:
        with ExitStack() as stack:
            # Left in the other order: where the scp is, the archive is complete.
            scp = stack.enter_context(atomic_path(self.scp))
            ark = stack.enter_context(atomic_path(self.ark))
            self._ark_stream = stack.enter_context(open(ark, "wb"))
            self._scp_stream = stack.enter_context(open(scp, "w", encoding="utf-8"))
            self._files = stack.pop_all()
        return self

    def write(self, utt_id: str, vector: np.ndarray) -> None:
        """Append one vector of shape (frames,), int32 or float32/64."""
        if vector.dtype not in DTYPES or vector.ndim != 1:
            raise TypeError(f"{utt_id}: {vector.dtype} {vector.shape} is not a Kaldi vector")
        check_id(utt_id, self.ark)
        if utt_id <= self._previous:
            raise EntcompError(f"{self.ark}: {utt_id} after {self._previous}: not unique or sorted")
        key = f"{utt_id} ".encode()
        entry = key + _encode(vector)
        with naming_file(self.ark):
            self._scp_stream.write(f"{utt_id} {self.ark}:{self._offset + len(key)}\n")
            self._ark_stream.write(entry)
        self._digest.update(entry)
        self._offset += len(entry)
        self._previous = utt_id
        self.utterances += 1
        self.frames += len(vector)

    @property
    def summary(self) -> dict[str, Any]:
        """Counts and the SHA-256 of the archive's bytes."""
        return {
            "utterances": self.utterances,
            "frames": self.frames,
            "sha256": self._digest.hexdigest(),
        }

    def __exit__(self, *error: Any) -> None:
        self._files.__exit__(*error)


class VectorError(EntcompError):
    """One entry of an archive that cannot be read; those beside it may be sound."""


def iter_vectors(scp: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Yield ``(utt_id, vector)`` of an scp in order, in constant memory; see `ArkReader`."""
    with ArkReader(scp) as archives:
        for utt_id, entry in iter_table(scp):
            yield utt_id, archives.load(utt_id, entry)


def iter_ark(ark: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Yield ``(utt_id, vector)`` of an archive without its scp, one after the other.

    Raises EntcompError where there is no archive, and VectorError for what is no vector in it.
    """
    if not ark.is_file():
        raise EntcompError(f"{ark}: no such archive; check the path")
    size, offset = ark.stat().st_size, 0
    with open(ark, "rb") as stream:
        while offset < size:
            stream.seek(offset)
            key, space, _ = stream.read(_LONGEST_KEY).partition(b" ")
            try:
                utt_id = key.decode()
                vector = _decode(stream, offset + len(key + space), size)
            except ValueError as error:
                raise VectorError(
                    f"{ark}: not a Kaldi vector after byte {offset} ({error})"
                ) from None
            check_id(utt_id, ark)
            yield utt_id, vector
            offset += len(key + space) + len(_encode(vector))


class ArkReader:
    """Reads the vectors that the lines of an scp point to, opening each archive once.

    An archive that lies beside its scp is found there even if the experiment was moved. Entries
    that are commands (``gunzip -c x |``) are refused, as they would run a shell.
    """

    def __init__(self, scp: Path) -> None:
        self.scp = scp
        self._name = ""
        self._size = 0
        self._stream: BinaryIO | None = None

    def __enter__(self) -> ArkReader:
        return self

    def __exit__(self, *_: object) -> None:
        if self._stream is not None:
            self._stream.close()

    def load(self, utt_id: str, entry: str) -> np.ndarray:
        """The vector at ``archive:offset``: int32, float32 or float64 (frames,).

        Raises EntcompError for another entry or an archive that is not there, and VectorError where
        the archive holds no vector of Kaldi's, or holds it only in part.
        """
        if entry.endswith("|"):
            raise EntcompError(f"{self.scp}: {utt_id} is a command; run it and store its output")
        name, _, offset = entry.rpartition(":")
        if not name or not re.fullmatch("[0-9]{1,18}", offset):
            raise EntcompError(f"{self.scp}: {utt_id}: expected 'archive:offset', got {entry!r}")
        try:
            stream = self._open(name)
        except (OSError, ValueError):  # a folder, or no file name at all
            raise EntcompError(
                f"{self.scp}: {utt_id}: {name}: no such archive; rerun its stage"
            ) from None
        try:
            return _decode(stream, int(offset), self._size)
        except ValueError as error:
            raise VectorError(
                f"{find_archive(self.scp, name)}: {utt_id}: not a Kaldi vector at byte {offset} "
                f"({error}); delete {self.scp} and rerun its stage"
            ) from None

    def _open(self, name: str) -> BinaryIO:
        if self._stream is None or name != self._name:
            self.__exit__()
            path = find_archive(self.scp, name)
            if not path.is_file():  # a device or a pipe would never end
                raise FileNotFoundError
            self._stream = open(path, "rb")
            self._name, self._size = name, path.stat().st_size
        return self._stream


def find_archive(scp: Path, name: str) -> Path:
    """The archive that a line of an scp names: beside the scp, if the experiment was moved."""
    beside = scp.parent / Path(name).name
    return beside if beside.is_file() else Path(name)


def _decode(stream: BinaryIO, offset: int, size: int) -> np.ndarray:
    """The binary vector at a byte of an archive of ``size`` bytes. Raises ValueError for none.

    Nothing is read before its length is checked against the archive's. kaldiio would loop over
    elements in Python, run a pickle that somebody put into an archive, and take a truncated vector
    for a shorter one.
    """
    if offset >= size:
        raise ValueError("it is cut off")
    stream.seek(offset)
    if stream.read(2) != b"\0B":
        raise ValueError("not binary")
    kind = stream.read(1)
    if kind != b"\4":  # not int32, whose length is the first element
        kind += stream.read(3)
    if kind not in _VECTORS:
        raise ValueError("a matrix, audio or something else")
    dtype = _VECTORS[kind]
    length = int.from_bytes(stream.read(4), "little") * dtype.itemsize
    if length > size - stream.tell():
        raise ValueError("it is cut off")
    vector = np.frombuffer(stream.read(length), dtype)
    if not _ENTRY_ENDS.match(stream.read(_LONGEST_KEY)):
        raise ValueError("it does not end where it should")
    if dtype != _INT32_ELEMENT:
        return vector
    if (vector["size"] != 4).any():
        raise ValueError("elements that are not of four bytes")
    return vector["value"].copy()


def _encode(vector: np.ndarray) -> bytes:
    if vector.dtype == np.int32:
        # kaldiio's bytes, without its Python loop over elements: each is its size and its value.
        elements = np.empty(len(vector) + 1, dtype=_INT32_ELEMENT)
        elements["size"] = 4
        elements["value"][0] = len(vector)
        elements["value"][1:] = vector
        return b"\0B" + elements.tobytes()
    buffer = io.BytesIO()
    kaldiio.matio.write_array(buffer, vector)
    return buffer.getvalue()
