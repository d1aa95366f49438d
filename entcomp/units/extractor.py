"""What every feature extractor offers, and how a waveform of any length goes through one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from entcomp.errors import EntcompError

# Self-attention grows with the square of a chunk; a chunk sees this much of what is around it.
CHUNK_SECONDS = 20
CONTEXT_SECONDS = 2


@dataclass(frozen=True)
class FrameGrid:
    """Which samples each frame sees: frame ``i`` those from ``i * shift`` to ``+ field``.

    All are in samples: ``shift``; ``field``, the receptive field of the convolutions, which is at
    most 0 for a model that pads its waveforms; ``measured``, where frame 0 begins, if that was
    measured on labelled speech.
    """

    shift: int
    field: int
    measured: int | None = None

    def count(self, samples: int) -> int:
        """Frames of a waveform; what is left after the last one is shorter than a shift."""
        return max(0, (samples - self.field) // self.shift + 1) if samples else 0

    @property
    def offset(self) -> int:
        """Where frame 0 begins, in samples: as measured, or so that its ``shift`` samples are the
        middle ones of its field.
        """
        return (self.field - self.shift) // 2 if self.measured is None else self.measured


# Of HuBERT and all that have its convolutions, of kernel 10, 3, 3, 3, 3, 2, 2 and stride 5, 2 ...
# Frame 0 begins at 9 ms, not at the 2.5 ms that the middle of the receptive field would be: against
# MFA's 85,015 boundaries between phones of 1,310 LJSpeech utterances, changes of HuBERT-base's
# units (K = 100) at 20 ms * i lie 8.8 ms too early. That is the centre of the pairs (change minus
# boundary) that there are beyond chance; bootstrapped, and with windows of 30 to 60 ms about it,
# it stays between 7.8 and 9.9 ms.
HUBERT_GRID = FrameGrid(shift=320, field=400, measured=144)


class Extractor(Protocol):
    """A frozen model from a mono waveform to one vector a frame.

    ``checkpoint_sha256`` is empty where the weights are none, or torchaudio's own download.
    """

    name: str
    layer: int
    dim: int
    sample_rate: int
    grid: FrameGrid
    checkpoint_sha256: str

    def __call__(self, waveform: np.ndarray) -> np.ndarray:
        """float32 (samples,) to float32 (frames, dim); safe to call from several threads."""
        ...


class ExtractorKind(Protocol):
    """What a file of an extractor registers: a class, or anything else that makes an `Extractor`.

    ``help`` is its line in ``learn-kmeans --help``; ``default_layer`` is the layer that it takes
    for None, empty if it has no layers.
    """

    help: str
    default_layer: str

    def __call__(self, layer: str | None, checkpoint: Path | None, device: str) -> Extractor:
        """Raises EntcompError for an unknown layer or device, or weights that cannot be loaded."""
        ...


@runtime_checkable
class ExtractorFamily(Protocol):
    """A kind of many models: what stands after a colon says which, as in ``transformers:NAME``."""

    def of(self, text: str) -> ExtractorKind:
        """Raises EntcompError for a text that says nothing to it."""
        ...


@dataclass(frozen=True)
class Chunk:
    """Samples that an extractor sees at once; of their frames those from ``first`` to ``last``
    are kept, the others are context.
    """

    waveform: np.ndarray
    first: int
    last: int


def iter_chunks(grid: FrameGrid, sample_rate: int, blocks: Iterable[np.ndarray]) -> Iterator[Chunk]:
    """Cut a waveform, in blocks of float32 (samples,), into chunks that keep each frame once.

    Chunks begin every CHUNK_SECONDS and overlap by CONTEXT_SECONDS on either side. So a frame
    depends on nothing that is further away, and a recording of any length takes little memory.
    """
    size = CHUNK_SECONDS * sample_rate // grid.shift
    context = CONTEXT_SECONDS * sample_rate // grid.shift
    held, begin, first = np.empty(0, np.float32), 0, 0  # samples, their first frame; next to keep
    remaining = iter(blocks)
    while True:
        block = next(remaining, None)
        held = held if block is None else np.concatenate([held, block])
        total = begin + grid.count(len(held))
        while total > first + size + context or (block is None and first < total):
            last = min(first + size, total)
            # The last chunk keeps the tail, which a model's normalisation over time sees.
            samples = (last + context - 1 - begin) * grid.shift + grid.field
            end = len(held) if last + context >= total else samples
            yield Chunk(held[:end], first - begin, last - begin)
            first, ahead = last, max(0, last - context) - begin
            held, begin = held[ahead * grid.shift :], begin + ahead
        if block is None:
            return


def extract_chunk(extractor: Extractor, chunk: Chunk) -> np.ndarray:
    """Features of the frames that a chunk keeps, float32 (frames, dim)."""
    features = extractor(chunk.waveform)
    due = extractor.grid.count(len(chunk.waveform))
    if len(features) != due:
        raise EntcompError(
            f"{extractor.name}: {len(features)} frames, expected {due}; "
            f"is the checkpoint one of {extractor.name}?"
        )
    return features[chunk.first : chunk.last]


def extract(extractor: Extractor, waveform: np.ndarray, source: str) -> np.ndarray:
    """Features of a waveform: float32 (samples,) to float32 (frames, dim), in chunks.

    No feature is causal: a frame sees up to CHUNK_SECONDS + CONTEXT_SECONDS of what follows it.
    Raises EntcompError, naming ``source``, for a waveform shorter than a frame.
    """
    check_length(extractor, len(waveform), source)
    chunks = iter_chunks(extractor.grid, extractor.sample_rate, [waveform])
    return np.concatenate([extract_chunk(extractor, chunk) for chunk in chunks])


def check_length(extractor: Extractor, samples: int, source: str) -> None:
    """Raises EntcompError, naming ``source``, for a waveform shorter than a frame."""
    if extractor.grid.count(samples) == 0:
        raise EntcompError(
            f"{source}: wav shorter than a frame ({samples} samples at "
            f"{extractor.sample_rate} Hz, {extractor.name} needs {extractor.grid.field})"
        )


def require_file(checkpoint: Path) -> Path:
    """The checkpoint. Raises EntcompError if there is no such file."""
    if checkpoint.is_dir():
        raise EntcompError(
            f"{checkpoint}: a folder, where a file is wanted; --extractor transformers reads those "
            "with a config.json"
        )
    if not checkpoint.is_file():
        raise EntcompError(f"{checkpoint}: no such checkpoint")
    return checkpoint


def parse_layer(text: str, choices: range, name: str) -> int:
    """A layer's number; ``last`` is the end of ``choices``. Raises EntcompError for any other."""
    if text == "last":
        return choices[-1]
    if not text.isdecimal() or int(text) not in choices:
        raise EntcompError(
            f"--layer {text}: {name} has layers {choices[0]} to {choices[-1]}, or 'last'"
        )
    return int(text)
