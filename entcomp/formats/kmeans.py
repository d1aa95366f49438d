"""Codebooks that others have published: k-means models of scikit-learn, by joblib or pickle.

fairseq, ESPnet, GSLM and textlesslib write them by joblib (``.bin``, ``.mdl``, ``.km``), others by
pickle or ``torch.save`` (``.pt``). None of these pickles is run, see `inert_pickle`.
"""

from __future__ import annotations

import bz2
import io
import lzma
import math
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from entcomp.errors import EntcompError
from entcomp.formats.inert_pickle import UNREADABLE, InertUnpickler, Named, Names, RefusedError
from entcomp.formats.torch_file import Tensor, is_torch, read_torch

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
}
ALLOWED = Names("k-means model", MODULES, frozenset(NAMES))
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
        model = read_torch(path, ALLOWED) if is_torch(path) else _read_pickle(path)
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


class _Unpickler(InertUnpickler):
    """Arrays that joblib has put between are read to arrays."""

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__(stream, ALLOWED)
        self._between = stream

    def built(self, found: Named) -> Any:
        if found.name.endswith("numpy_pickle.NumpyArrayWrapper"):
            return _read_wrapped(found, self._between)
        return found


def _read_pickle(path: Path) -> Any:
    """A pickle of joblib or of pickle itself, compressed or not."""
    return _Unpickler(io.BytesIO(_decompressed(path.read_bytes()))).load()


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
    if isinstance(value, Tensor):
        return value.array()
    kind = value.name.rpartition(".")[2]
    if kind == "_frombuffer":
        data, dtype, shape, order = value.args
        return _shaped(_to_bytes(data), _to_dtype(dtype), shape, order == "F")
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
