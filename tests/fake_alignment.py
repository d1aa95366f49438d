"""A fake experiment with recordings, groups and TextGrids."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import soundfile
from fake_experiment import Fake, make_fake

from entcomp.formats.textgrid import Interval, TextGrid, write_textgrid

Spans = list[tuple[float, float, str]]


def write_grid(path: Path, duration: float, **tiers: Spans) -> None:
    """A TextGrid from ``tier=[(start, end, label), ...]``."""
    intervals = {name: tuple(Interval(*span) for span in spans) for name, spans in tiers.items()}
    write_textgrid(path, TextGrid(duration, intervals))


def make_aligned(folder: Path, utterances: int = 6) -> Fake:
    """A set ``test`` whose phones change every fifth frame of 20 ms, and words every tenth."""
    fake = make_fake(folder, {"test": utterances}, length=100)
    generator = np.random.default_rng(1)
    wavs = []
    for utt_id, units in fake.units["test"].items():
        duration = len(units) * 0.02
        wav = fake.data / f"{utt_id}.wav"
        soundfile.write(wav, 0.1 * generator.standard_normal(int(duration * 16000)), 16000)
        wavs.append(f"{utt_id} {wav}\n")
        write_grid(
            fake.experiment.alignments("test") / f"{utt_id}.TextGrid",
            duration,
            words=equal_spans(duration, 0.2, "word"),
            phones=equal_spans(duration, 0.1, "AH"),
        )
    (fake.data / "test" / "wav.scp").write_text("".join(wavs))
    return fake


def equal_spans(duration: float, span: float, label: str) -> Spans:
    count = int(duration / span)
    edges = [round(span * number, 6) for number in range(count + 1)]
    return [(start, end, label) for start, end in pairwise(edges)]
