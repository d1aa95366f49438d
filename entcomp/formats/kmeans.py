"""Codebooks that others have published: k-means models of scikit-learn, by joblib or pickle.

fairseq, ESPnet, GSLM and textlesslib write them by joblib (``.bin``, ``.mdl``, ``.km``), others by
pickle or ``torch.save`` (``.pt``). A pickle is a program. Here it is read without running anything:
every class and function that it names becomes an inert `Named`, its calls are noted and not made,
and a name that no k-means model needs is refused.
"""

from __future__ import annotations

import bz2
import io
import lzma
import math
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import numpy as np

from entcomp.errors import EntcompError

LARGEST = 2**30  # bytes of a file, and of what it decompresses to

# Whole modules, in old and new places, and names that pickle needs for numpy's and its own objects.
MODULES = (
    "joblib.numpy_pickle",
    "numpy.random",
    "sklearn.cluster",
    "sklearn.externals.joblib.numpy_pickle",
)
NAMES = {
    "_codecs.encode",
    "__builtin__.object",
    "__builtin__.bytearray",
    "builtins.object",
    "builtins.bytearray",
    "collections.OrderedDict",
    "copy_reg._reconstructor",
    "copyreg._reconstructor",
    "numpy.dtype",
    "numpy.ndarray",
    *(
        f"{core}.{name}"
        for core in ("numpy.core", "numpy._core")
        for name in ("multiarray._reconstruct", "multiarray.scalar", "numeric._frombuffer")
    ),
    "torch._utils._rebuild_tensor_v2",
}
STORAGES = {"torch.FloatStorage": "<f4", "torch.DoubleStorage": "<f8", "torch.HalfStorage": "<f2"}
CENTROIDS = "cluster_centers_"


def read_centroids(path: Path) -> np.ndarray:
    """The centroids of a k-means model, float32 (K, dim).

    Raises EntcompError for a file that is not one, and for one that names anything else than
    a k-means model does, with that name.
    """
    if not path.is_file():
        raise EntcompError(f"{path}: no such file")
    if path.stat().st_size > LARGEST:
        raise EntcompError(f"{path}: too large for a codebook")
    try:
        model = _read_torch(path) if zipfile.is_zipfile(path) else _read_pickle(path)
        centroids = _to_array(_state(model)[CENTROIDS])
    except RefusedError as error:
        raise EntcompError(f"{path}: {error}") from None
    except UNREADABLE as error:
        raise EntcompError(
            f"{path}: not a k-means model of scikit-learn ({type(error).__name__}: {error})"
        ) from None
    if centroids.ndim != 2 or not centroids.size or not np.isfinite(centroids).all():
        raise EntcompError(f"{path}: centroids of shape {centroids.shape} are not a codebook")
    return np.ascontiguousarray(centroids, np.float32)


class RefusedError(Exception):
    """A pickle names what no k-means model needs."""


# What malformed files lead to.
UNREADABLE = (
    pickle.UnpicklingError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)


@dataclass
class Named:
    """A class or function that a pickle names, or what calling it with ``args`` would give.

    ``state`` is what the pickle would have put into the object afterwards.
    """

    name: str
    args: tuple[Any, ...] = ()
    state: Any = field(default_factory=dict)


class InertUnpickler(pickle._Unpickler):
    """Reads a pickle to `Named` objects; arrays that joblib has put between, to arrays."""

    stack: list[Any]
    append: Callable[[Any], None]

    def __init__(self, stream: BinaryIO, storage: Callable[[Any], Named] | None = None) -> None:
        super().__init__(stream, encoding="latin1")
        self._stream = stream
        self._storage = storage

    def find_class(self, module: str, name: str) -> Named:
        full = f"{module}.{name}"
        in_modules = any(module == one or module.startswith(f"{one}.") for one in MODULES)
        if not (in_modules or full in NAMES or full in STORAGES):
            raise RefusedError(f"names {full}, which no k-means model needs; not loaded")
        return Named(full)

    def persistent_load(self, pid: Any) -> Named:
        """What lies outside of the pickle: only torch's files have it."""
        if self._storage is None:
            raise RefusedError("refers to objects outside of it; not loaded")
        return self._storage(pid)

    def _call(self, function: Any, args: Any) -> None:
        if not isinstance(function, Named):
            raise RefusedError(f"calls a {type(function).__name__}; not loaded")
        name, args = function.name, tuple(args)
        if name.endswith("._reconstructor"):  # how protocols 0 and 1 make an object of a class
            name, args = args[0].name, ()
        self.append(Named(name, args))

    # The opcodes that make objects, under the names that the pickle module's own reader gives them.

    def load_reduce(self) -> None:
        args = self.stack.pop()
        self._call(self.stack.pop(), args)

    load_newobj = load_reduce

    def load_newobj_ex(self) -> None:
        keywords = self.stack.pop()
        if keywords:
            raise RefusedError("calls with keywords; not loaded")
        self.load_reduce()

    def _instantiate(self, klass: Any, args: Any) -> None:
        self._call(klass, args)

    def load_build(self) -> None:
        state = self.stack.pop()
        found = self.stack[-1]
        if not isinstance(found, Named):
            raise RefusedError(f"changes a {type(found).__name__}; not loaded")
        found.state = state
        if found.name.endswith("numpy_pickle.NumpyArrayWrapper"):
            self.stack[-1] = _read_wrapped(found, self._stream)

    dispatch: ClassVar[dict[int, Any]] = {
        **pickle._Unpickler.dispatch,
        pickle.REDUCE[0]: load_reduce,
        pickle.NEWOBJ[0]: load_newobj,
        pickle.NEWOBJ_EX[0]: load_newobj_ex,
        pickle.BUILD[0]: load_build,
    }


def _read_pickle(path: Path) -> Any:
    """A pickle of joblib or of pickle itself, compressed or not."""
    return InertUnpickler(io.BytesIO(_decompressed(path.read_bytes()))).load()


def _decompressed(data: bytes) -> bytes:
    """Raises RefusedError for an unknown compression, or too much that is compressed."""
    kinds: dict[bytes, Callable[[], Any]] = {
        b"\x1f\x8b": lambda: zlib.decompressobj(wbits=31),
        b"\x78": zlib.decompressobj,
        b"BZ": bz2.BZ2Decompressor,
        b"\xfd7zXZ": lzma.LZMADecompressor,
        b"\x5d\x00": lzma.LZMADecompressor,
    }
    if data.startswith((b"ZF", b"\x04\x22\x4d\x18")):
        raise RefusedError("compressed by LZ4 or by a joblib before 0.10; save it again by zlib")
    for magic, make in kinds.items():
        if data.startswith(magic):
            decompressor = make()
            found = decompressor.decompress(data, LARGEST)
            if not decompressor.eof:
                raise RefusedError("its compressed data break off, or are too much for a codebook")
            return found
    return data


def _read_wrapped(wrapper: Named, stream: BinaryIO) -> np.ndarray:
    """The array whose bytes joblib has written after the object that describes it."""
    state = wrapper.state
    padding = 0
    if state.get("numpy_array_alignment_bytes") is not None:
        padding = int.from_bytes(stream.read(1), "little")
    stream.read(padding)
    dtype, shape = _to_dtype(state["dtype"]), tuple(map(int, state["shape"]))
    data = stream.read(_size(dtype, shape))
    return _shaped(data, dtype, shape, state["order"] == "F")


def _to_array(value: Any) -> np.ndarray:
    """The array that numpy's own pickles, or torch's tensors, stand for."""
    if isinstance(value, np.ndarray):
        return value
    kind = value.name.rpartition(".")[2]
    if kind == "_frombuffer":
        data, dtype, shape, order = value.args
        return _shaped(_to_bytes(data), _to_dtype(dtype), shape, order == "F")
    if kind == "_rebuild_tensor_v2":
        return _to_tensor(*value.args[:4])
    _, shape, dtype, is_fortran, data = value.state
    return _shaped(_to_bytes(data), _to_dtype(dtype), shape, is_fortran)


def _shaped(data: bytes, dtype: np.dtype, shape: tuple[int, ...], fortran: bool) -> np.ndarray:
    if len(data) != _size(dtype, shape):
        raise EOFError(f"{len(data)} bytes of an array of {shape}")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")


def _size(dtype: np.dtype, shape: tuple[int, ...]) -> int:
    size = math.prod(shape) * dtype.itemsize
    if not 0 <= size <= LARGEST:
        raise ValueError(f"an array of {shape}")
    return size


def _to_dtype(value: Any) -> np.dtype:
    """Raises ValueError for a type that is no number's."""
    dtype = np.dtype(value.args[0])
    order = value.state[1] if value.state else "="
    if dtype.kind not in "biuf":
        raise ValueError(f"an array of {dtype}")
    return dtype.newbyteorder(order if order in "<>" else "=")


def _to_bytes(value: Any) -> bytes:
    """Bytes, also as old protocols of pickle spell them: a text and its encoding."""
    while isinstance(value, Named) and value.name == "_codecs.encode":
        value = value.args[0]
    while isinstance(value, Named) and value.name.endswith(".bytearray"):
        value = _to_bytes(value.args[0])
    return value.encode("latin1") if isinstance(value, str) else bytes(value)


def _state(model: Any) -> Any:
    """Attributes of an estimator, or a dictionary that has them."""
    return model.state if isinstance(model, Named) else model


def _read_torch(path: Path) -> Any:
    """What ``torch.save`` has written: a pickle in an archive, with its tensors beside it."""
    with zipfile.ZipFile(path) as archive:
        (name,) = (one for one in archive.namelist() if one.endswith("data.pkl"))
        if sum(one.file_size for one in archive.infolist()) > LARGEST:
            raise RefusedError("too large for a codebook")

        def storage(pid: Any) -> Named:
            _, kind, key, *_ = pid
            data = archive.read(f"{name.removesuffix('data.pkl')}data/{int(key)}")
            return Named(kind.name, (data,))

        return InertUnpickler(io.BytesIO(archive.read(name)), storage).load()


def _to_tensor(
    storage: Named, offset: int, size: tuple[int, ...], stride: tuple[int, ...]
) -> np.ndarray:
    """Raises ValueError for a tensor that is not contiguous."""
    contiguous = tuple(math.prod(size[axis + 1 :]) for axis in range(len(size)))
    if stride != contiguous:
        raise ValueError(f"a tensor of strides {stride}")
    values = np.frombuffer(storage.args[0], STORAGES[storage.name])
    return values[offset : offset + math.prod(size)].reshape(size)
