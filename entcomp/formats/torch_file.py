"""Files of ``torch.save``, read without running the pickle in them, and without torch.

Since torch 1.6 such a file is a zip archive: a pickle, and a member for each storage. Older ones,
as many published checkpoints are, hold five pickles, of which the fourth is what was saved and the
fifth lists the storages, whose bytes follow. Tensors stay in the file until they are asked for.
"""

from __future__ import annotations

import io
import math
import mmap
import os
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from entcomp.formats.inert_pickle import InertUnpickler, Named, Names, RefusedError, Stream

MAGIC = 0x1950A86A20F9469CFC6C  # the first pickle of an old file
OLD_START = MAGIC.to_bytes(10, "little")
BFLOAT16 = "torch.BFloat16Storage"  # which numpy does not know: the upper halves of float32
STORAGES = {
    "torch.FloatStorage": "<f4",
    "torch.DoubleStorage": "<f8",
    "torch.HalfStorage": "<f2",
    BFLOAT16: "<u2",
    "torch.LongStorage": "<i8",
    "torch.IntStorage": "<i4",
    "torch.ShortStorage": "<i2",
    "torch.CharStorage": "|i1",
    "torch.ByteStorage": "|u1",
    "torch.BoolStorage": "|b1",
}
REBUILD = ("torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2")
PARAMETER = "torch._utils._rebuild_parameter"
TORCH_NAMES = frozenset(
    {*STORAGES, *REBUILD, PARAMETER, "collections.OrderedDict", "torch.device", "torch.Size"}
)


@dataclass(frozen=True)
class Tensor:
    """A tensor that lies in a file; offset and strides count values of its storage."""

    shape: tuple[int, ...]
    _kind: str
    _offset: int
    _strides: tuple[int, ...]
    _storage: Callable[[], bytes]

    def array(self) -> np.ndarray:
        """The values, a copy of its own; bfloat16 becomes float32.

        Raises ValueError if they do not fit into the storage, or stand in it more than once.
        """
        values = np.frombuffer(self._storage(), STORAGES[self._kind])
        sizes = zip(self.shape, self._strides, strict=True)
        last = self._offset + sum((size - 1) * stride for size, stride in sizes)
        numbers = (*self.shape, *self._strides, self._offset)
        if min(numbers) < 0 or max(last + 1, math.prod(self.shape)) > len(values):
            raise ValueError(f"a tensor of {self.shape} in a storage of {len(values)}")
        steps = [stride * values.itemsize for stride in self._strides]
        view = np.lib.stride_tricks.as_strided(values[self._offset :], self.shape, steps)
        if self._kind == BFLOAT16:
            return np.left_shift(view, 16, dtype=np.uint32).view(np.float32)
        return np.array(view)


def is_torch(path: Path) -> bool:
    """Whether a file begins as those of ``torch.save`` do."""
    with path.open("rb") as stream:
        return zipfile.is_zipfile(path) or OLD_START in stream.read(32)


def read_torch(path: Path, allowed: Names) -> Any:
    """What ``torch.save`` was given: plain values, `Tensor` and `Named` objects.

    Raises RefusedError for names that are not among ``allowed`` or torch's own, and one of
    `UNREADABLE` for a file that is not torch's.
    """
    allowed = replace(allowed, names=allowed.names | TORCH_NAMES)
    return _read_zip(path, allowed) if zipfile.is_zipfile(path) else _read_old(path, allowed)


class _Unpickler(InertUnpickler):
    """``storage`` gives the bytes of a storage by its key, once all pickles are read."""

    def __init__(self, stream: Stream, allowed: Names, storage: Callable[[str], bytes]) -> None:
        super().__init__(stream, allowed)
        self._storage = storage
        self.kinds: dict[str, str] = {}  # of storages, by their keys

    def persistent_load(self, pid: Any) -> Named:
        what, kind, key, *more = pid
        if what == "module":  # a class, and its source, in old files
            return kind
        if more[2:] not in ([], [None]):
            raise ValueError("a storage that is part of another")
        self.kinds[str(key)] = kind.name
        return Named(kind.name, (str(key),))

    def called(self, found: Named) -> Any:
        if found.name == PARAMETER:
            return found.args[0]
        if found.name not in REBUILD:
            return found
        storage, offset, shape, strides, *_ = found.args
        (key,) = storage.args
        return Tensor(
            tuple(shape), storage.name, offset, tuple(strides), lambda: self._storage(key)
        )


def _read_zip(path: Path, allowed: Names) -> Any:
    with zipfile.ZipFile(path) as archive:
        if any(one.compress_type != zipfile.ZIP_STORED for one in archive.infolist()):
            raise RefusedError("is a compressed archive, which torch never writes")
        names = set(archive.namelist())
        (pickled,) = (name for name in names if name.endswith("data.pkl"))
        folder = pickled.removesuffix("data.pkl")
        if f"{folder}byteorder" in names and archive.read(f"{folder}byteorder") != b"little":
            raise RefusedError("was written by a big-endian machine; save it again on another")
        content = io.BytesIO(archive.read(pickled))

    def storage(key: str) -> bytes:
        with zipfile.ZipFile(path) as archive:
            return archive.read(f"{folder}data/{int(key)}")

    return _Unpickler(content, allowed, storage).load()


def _read_old(path: Path, allowed: Names) -> Any:
    places: dict[str, tuple[int, int]] = {}  # of storages in the file, first byte and size

    def storage(key: str) -> bytes:
        first, size = places[key]
        with path.open("rb") as stream:
            stream.seek(first)
            return stream.read(size)

    # A map reads no more than there is, whatever size a pickle declares.
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if _Unpickler(content, allowed, storage).load() != MAGIC:
            raise ValueError("not a file of torch.save")
        for _ in ("protocol", "system"):
            _Unpickler(content, allowed, storage).load()
        unpickler = _Unpickler(content, allowed, storage)
        saved = unpickler.load()
        for key in _Unpickler(content, allowed, storage).load():
            width = np.dtype(STORAGES[unpickler.kinds[key]]).itemsize
            size = width * int.from_bytes(content.read(8), "little")
            places[key] = content.tell(), size
            content.seek(size, os.SEEK_CUR)
    return saved
