"""What every vocoder offers: from a log mel spectrogram to a waveform."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from entcomp.audio.mel import MelConfig

if TYPE_CHECKING:
    from torch import Tensor


class Vocoder(Protocol):
    """Makes (frames * hop_length,) samples of a log mel spectrogram (frames, n_mels).

    ``name`` is for people, ``sha256`` names the weights; it is empty if there are none.
    """

    name: str
    sha256: str

    def __call__(self, mel_MN: Tensor) -> Tensor: ...


def _never(path: Path) -> bool:
    return False


@dataclass(frozen=True)
class VocoderKind:
    """What a file of a vocoder registers: how its checkpoints are known and loaded.

    ``help`` is its line in ``convert --help``. ``load`` gets the path of a checkpoint, or None
    where the vocoder was chosen by its name; it raises EntcompError for weights of other mel
    settings, or that cannot be loaded. ``recognises`` tells whether a file or folder, which is
    there, is one of its checkpoints.
    """

    help: str
    load: Callable[[Path | None, MelConfig], Vocoder]
    recognises: Callable[[Path], bool] = _never


def delay(waveform: Tensor, samples: int) -> Tensor:
    """The waveform ``samples`` later, and as long as it was."""
    import torch

    return torch.cat([waveform.new_zeros(samples), waveform])[: len(waveform)]


def fold_weight_norm(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict whose normalised weights are plain: ``weight = g v / |v|``.

    In the names of either of torch's implementations; |v| is over all but the first dimension.
    """
    import torch

    folded = {}
    for name, value in weights.items():
        stem, _, kind = name.rpartition(".")
        parts = {"weight_v": "weight_g", "original1": "original0"}
        if kind in parts:
            gain = weights[f"{stem}.{parts[kind]}"]
            stem = stem.removesuffix(".parametrizations.weight")
            folded[f"{stem}.weight"] = torch._weight_norm(value, gain, 0)
        elif kind not in parts.values():
            folded[name] = value
    return folded
