"""Recordings and data dirs made on the spot."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

RATE = 16000


def babble(seconds: float, seed: int) -> np.ndarray:
    """Noise that changes its colour and loudness some times a second; float32 (samples,)."""
    generator = np.random.default_rng(seed)
    samples = round(seconds * RATE)
    noise = generator.standard_normal(samples)
    for begin in range(0, samples - 20, 1600):
        part = noise[begin : begin + 1600]
        colour = np.ones(generator.integers(1, 12))
        part[:] = 0.1 * generator.random() * np.convolve(part, colour, mode="same")
    return noise.clip(-1, 1).astype(np.float32)


def write_set(folder: Path, seconds: dict[str, float]) -> Path:
    """A data dir with one wav for each id; returns ``folder``."""
    folder.mkdir(parents=True)
    for number, (utt_id, length) in enumerate(sorted(seconds.items())):
        soundfile.write(folder / f"{utt_id}.wav", babble(length, number), RATE)
    write_scp(folder, {utt_id: f"{utt_id}.wav" for utt_id in seconds})
    return folder


def write_scp(folder: Path, rows: dict[str, str]) -> None:
    lines = (f"{utt_id} {entry}\n" for utt_id, entry in sorted(rows.items()))
    (folder / "wav.scp").write_text("".join(lines))
