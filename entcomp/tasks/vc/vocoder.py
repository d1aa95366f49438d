"""What every vocoder offers: from a log mel spectrogram to a waveform."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from entcomp.audio.mel import MelConfig

if TYPE_CHECKING:
    from torch import Tensor


class Vocoder(Protocol):
    """Makes (frames * hop_length,) samples of a log mel spectrogram (frames, n_mels)."""

    name: str

    def __call__(self, mel_MN: Tensor) -> Tensor: ...


def _never(path: Path) -> bool:
    return False


def _no_weights(path: Path | None) -> str:
    return ""


@dataclass(frozen=True)
class VocoderKind:
    """What a file of a vocoder registers: how its checkpoints are known, loaded and named.

    ``help`` is its line in ``convert --help``. ``load`` gets the path of a checkpoint, or None
    where the vocoder was chosen by its name; it raises EntcompError for weights of other mel
    settings, or that cannot be loaded. ``recognises`` tells whether a file or folder, which is
    there, is one of its checkpoints; ``sha256`` names the weights, and is empty if there are none.
    """

    help: str
    load: Callable[[Path | None, MelConfig], Vocoder]
    recognises: Callable[[Path], bool] = _never
    sha256: Callable[[Path | None], str] = _no_weights


def delay(waveform: Tensor, samples: int) -> Tensor:
    """The waveform ``samples`` later, and as long as it was."""
    import torch

    return torch.cat([waveform.new_zeros(samples), waveform])[: len(waveform)]
