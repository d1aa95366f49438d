"""The k-means codebook: learning it, keeping it, and naming the nearest centroid of each frame."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from entcomp.errors import EntcompError
from entcomp.files import atomic_path
from entcomp.progress import track

ITERATIONS = 25
BLOCK = 4096  # frames whose distances to all centroids are held at once


@dataclass(frozen=True)
class Codebook:
    """``centroids`` is float32 (K, dim); unit ``k`` is the number of a row."""

    centroids: np.ndarray

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
        return sum(
            float(np.square(features[block] - self.centroids[units[block]], dtype=np.float64).sum())
            for block in _blocks(len(features))
        )

    @cached_property
    def _transposed(self) -> np.ndarray:
        return np.ascontiguousarray(self.centroids.T, np.float64)

    @cached_property
    def _squares(self) -> np.ndarray:
        return np.square(self.centroids, dtype=np.float64).sum(axis=1)

    def write(self, path: Path) -> None:
        """Write ``path`` (.npz with ``centroids``); equal codebooks are equal bytes."""
        with atomic_path(path) as temporary, open(temporary, "wb") as stream:
            np.savez(stream, centroids=self.centroids)

    @classmethod
    def read(cls, path: Path) -> Codebook:
        """Raises EntcompError if the file is not there or holds no codebook."""
        try:
            with np.load(path) as stored:
                return cls(stored["centroids"].astype(np.float32))
        except FileNotFoundError:
            raise EntcompError(f"{path}: no such file; run learn-kmeans first") from None
        except (KeyError, ValueError, EOFError, zipfile.BadZipFile):
            raise EntcompError(f"{path}: not a codebook; delete it and run learn-kmeans") from None


def _blocks(frames: int) -> Iterator[slice]:
    for first in range(0, frames, BLOCK):
        yield slice(first, min(first + BLOCK, frames))


def learn_codebook(frames: np.ndarray, num_clusters: int, seed: int) -> Codebook:
    """Lloyd's k-means from a k-means++ start on float32 (frames, dim), by faiss.

    The same bytes for the same frames and seed, whatever the number of threads. Raises
    EntcompError for fewer frames than clusters.
    """
    import faiss

    if len(frames) < num_clusters:
        raise EntcompError(
            f"{len(frames)} frames for {num_clusters} clusters; "
            f"give more recordings or a smaller --num-clusters"
        )
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
    return Codebook(np.asarray(centroids, np.float32))
