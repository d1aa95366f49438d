"""Noise that stands for speech where its content does not matter."""

from __future__ import annotations

import numpy as np

RATE = 16000


def babble(seconds: float, seed: int = 0, rate: int = RATE) -> np.ndarray:
    """Noise that changes its colour and loudness ten times a second; float32 (samples,)."""
    generator = np.random.default_rng(seed)
    noise = generator.standard_normal(round(seconds * rate))
    step = rate // 10
    for begin in range(0, len(noise), step):
        colour = np.ones(generator.integers(1, 12))
        part = np.convolve(noise[begin : begin + step], colour, mode="same")
        noise[begin : begin + step] = 0.1 * generator.random() * part[: len(noise) - begin]
    return noise.clip(-1, 1).astype(np.float32)
