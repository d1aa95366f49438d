"""The k-means codebook: learning it, keeping it, and naming the nearest centroid of each frame."""

from __future__ import annotations

import lzma
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from entcomp.errors import EntcompError
from entcomp.files import atomic_path
from entcomp.progress import track

ITERATIONS = 25
LEAST_VARIANCE = 1e-6  # of the largest; whitening would blow up what hardly varies
# What numpy makes of damaged files; it parses their headers as Python.
UNREADABLE = (
    *(LookupError, ValueError, TypeError, EOFError, OSError, MemoryError, ArithmeticError),
    *(SyntaxError, NotImplementedError, RecursionError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, tokenize.TokenError),
)
BLOCK = 4096  # frames whose distances to all centroids are held at once


@dataclass(frozen=True)
class Codebook:
    """``centroids`` is float32 (K, dim); unit ``k`` is the number of a row.

    Features and centroids are compared after multiplication by ``whitening``, float32 (dim, dim),
    if there is one: see `whitening_matrix`.
    """

    centroids: np.ndarray
    whitening: np.ndarray | None = None

    def assign(self, features: np.ndarray) -> np.ndarray:
        """Nearest centroid of each frame: float32 (frames, dim) to int32 (frames,).

        In double precision, and with the lowest number among equals, so that a frame's unit does
        not depend on the frames beside it. Raises EntcompError for another dimension.
        """
        if features.shape[1] != self.centroids.shape[1]:
            raise EntcompError(
                f"codebook of {self.centroids.shape[1]} dimensions for features of "
                f"{features.shape[1]}; was it learnt with another extractor?"
            )
        units = np.empty(len(features), np.int32)
        for block in _blocks(len(features)):
            # Squared distances, less the frame's own square.
            distances = features[block].astype(np.float64) @ self._transposed
            distances *= -2
            distances += self._squares
            # What rounding may have told apart counts as equal.
            nearest = distances.min(axis=1, keepdims=True)
            nearest += 1e-9 * (self._squares.max() + np.abs(nearest))
            units[block] = np.argmax(distances <= nearest, axis=1)
        return units

    def inertia(self, features: np.ndarray, units: np.ndarray) -> float:
        """Sum of the squared distances of frames (frames, dim) to the centroids of their units."""
        total = 0.0
        for block in _blocks(len(features)):
            apart = self._whitened(features[block] - self.centroids[units[block]])
            total += float(np.square(apart).sum())
        return total

    @cached_property
    def _transposed(self) -> np.ndarray:
        """(dim, K): what to multiply features by, so that they need no whitening themselves."""
        return np.ascontiguousarray(self._whitened(self._whitened(self.centroids)).T)

    @cached_property
    def _squares(self) -> np.ndarray:
        return np.square(self._whitened(self.centroids)).sum(axis=1)

    def _whitened(self, vectors: np.ndarray) -> np.ndarray:
        """float64 (n, dim)"""
        exact = vectors.astype(np.float64)
        return exact if self.whitening is None else exact @ self.whitening.astype(np.float64)

    def write(self, path: Path) -> None:
        """Write ``path``, .npz with the fields that are there; equal codebooks are equal bytes."""
        arrays: dict[str, Any] = {"centroids": self.centroids}
        if self.whitening is not None:
            arrays["whitening"] = self.whitening
        with atomic_path(path) as temporary, open(temporary, "wb") as stream:
            np.savez(stream, **arrays)

    @classmethod
    def read(cls, path: Path) -> Codebook:
        """Raises EntcompError if the file is not there or holds no codebook."""
        try:
            with np.load(path) as stored:
                found = {
                    name: stored[name] for name in ("centroids", "whitening") if name in stored
                }
            centroids, whitening = _numbers(found["centroids"]), found.get("whitening")
            if whitening is not None:
                whitening = _numbers(whitening)
                if whitening.shape != (centroids.shape[1],) * 2:
                    raise ValueError("whitening of another size")
            return cls(centroids, whitening)
        except FileNotFoundError:
            raise EntcompError(f"{path}: no such file; run learn-kmeans first") from None
        except UNREADABLE:
            raise EntcompError(f"{path}: not a codebook; delete it and run learn-kmeans") from None


def _numbers(stored: Any) -> np.ndarray:
    """float32 (n, dim) of what an .npz file holds. Raises ValueError for anything else."""
    matrix = np.asarray(stored)
    if matrix.ndim != 2 or not matrix.size or matrix.dtype.kind != "f":
        raise ValueError("no matrix of numbers")
    if not np.isfinite(matrix).all():
        raise ValueError("numbers that are none")
    return matrix.astype(np.float32)


def _blocks(frames: int) -> Iterator[slice]:
    for first in range(0, frames, BLOCK):
        yield slice(first, min(first + BLOCK, frames))


def whitening_matrix(frames: np.ndarray, degree: float) -> np.ndarray:
    """Makes the variances of features (frames, dim) alike: float32 (dim, dim), symmetric.

    Variances along the principal axes, s, become s ** (1 - degree): 1 whitens wholly, so that
    distances are Mahalanobis', and 0 changes nothing. Raises EntcompError for frames all alike.
    """
    if (frames == frames[0]).all():
        raise EntcompError(
            f"{len(frames)} frames that are all alike cannot be whitened; give other recordings, "
            f"or no --whiten"
        )
    covariance = np.atleast_2d(np.cov(frames, rowvar=False, dtype=np.float64))
    variances, axes = np.linalg.eigh(covariance)
    variances = variances.clip(LEAST_VARIANCE * variances.max())
    return ((axes * variances ** (-degree / 2)) @ axes.T).astype(np.float32)


def learn_codebook(
    frames: np.ndarray, num_clusters: int, seed: int, whiten: float = 0.0
) -> Codebook:
    """Lloyd's k-means from a k-means++ start on float32 (frames, dim), by faiss.

    ``whiten`` is the degree of `whitening_matrix` that the frames are compared with. The same bytes
    for the same frames and seed, whatever the number of threads. Raises EntcompError for fewer
    frames than clusters.
    """
    if len(frames) < num_clusters:
        raise EntcompError(
            f"{len(frames)} frames for {num_clusters} clusters; "
            f"give more recordings or a smaller --num-clusters"
        )
    if not whiten:
        return Codebook(_kmeans(frames, num_clusters, seed))
    # One thread, as what LAPACK and BLAS round depends on their number.
    with threadpool_limits(1, "blas"):
        whitening = whitening_matrix(frames, whiten)
        frames = frames @ whitening
    centroids = _kmeans(frames, num_clusters, seed)
    with threadpool_limits(1, "blas"):
        centroids = np.linalg.solve(whitening.astype(np.float64), centroids.T).T
    return Codebook(np.ascontiguousarray(centroids, np.float32), whitening)


def _kmeans(frames: np.ndarray, num_clusters: int, seed: int) -> np.ndarray:
    """Centroids, float32 (num_clusters, dim)."""
    import faiss

    centroids = None
    # One iteration a call, so that there is something to show; faiss goes on where it stopped.
    for _ in track(range(ITERATIONS), "k-means"):
        kmeans = faiss.Kmeans(
            frames.shape[1],
            num_clusters,
            niter=1,
            seed=seed,
            init_method=faiss.ClusteringInitMethod_KMEANS_PLUS_PLUS,
            min_points_per_centroid=1,  # else it warns: the codebook's user sees the counts
            max_points_per_centroid=len(frames),  # else it would draw a sample of its own
        )
        kmeans.train(frames, init_centroids=centroids)
        centroids = kmeans.centroids
    return np.asarray(centroids, np.float32)
