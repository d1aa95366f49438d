"""Frames drawn from a stream, in one pass and without regard to its order."""

from __future__ import annotations

import hashlib

import numpy as np


class FrameSample:
    """At most ``max_frames`` frames, each as likely as any other, in constant memory.

    Every frame draws a rank from the seed, its utterance's key and its position; those of the
    lowest ranks stay. So the sample depends on no order, thread or shard.
    """

    def __init__(self, max_frames: int, seed: int) -> None:
        self.max_frames = max_frames
        self.seen = 0
        self._seed = seed
        self._limit = np.inf
        self._ranks: list[np.ndarray] = []
        self._frames: list[np.ndarray] = []
        self._held = 0

    def add(self, key: str, frames: np.ndarray) -> None:
        """Offer an utterance's frames, float32 (frames, dim), under its unique key."""
        digest = hashlib.sha256(key.encode()).digest()
        generator = np.random.default_rng([self._seed, int.from_bytes(digest, "big")])
        ranks = generator.random(len(frames))
        chosen = ranks < self._limit
        self._ranks.append(ranks[chosen])
        self._frames.append(frames[chosen])
        self._held += int(chosen.sum())
        self.seen += len(frames)
        if self._held > 1.5 * self.max_frames:
            self._prune()

    def frames(self) -> np.ndarray:
        """The sample, float32 (frames, dim), by rank. Raises ValueError if nothing was offered."""
        self._prune()
        return self._frames[0]

    def _prune(self) -> None:
        ranks = np.concatenate(self._ranks)
        order = np.argsort(ranks)[: self.max_frames]
        self._ranks = [ranks[order]]
        self._frames = [np.concatenate(self._frames)[order]]
        self._held = len(order)
        if self._held == self.max_frames:
            self._limit = ranks[order[-1]]
