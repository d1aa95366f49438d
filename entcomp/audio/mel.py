"""Mel spectrograms of CosyVoice-300M and HiFi-GAN, and where a frame lies in time.

The waveform is extended at its end to whole frames and mirrored at both ends, so that frame ``j``
is centred on its own samples ``[j * hop_length, (j + 1) * hop_length)``. Magnitudes go through
Slaney's area-normalised filters and a natural logarithm.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge, Gt
from pydantic import model_validator

from entcomp.config import Config
from entcomp.errors import EntcompError

if TYPE_CHECKING:
    from torch import Tensor

Count = Annotated[int, Gt(0)]


class MelConfig(Config):
    """Settings of a mel spectrogram; a vocoder must have been trained on the same ones."""

    sample_rate: Count = 22050
    n_fft: Count = 1024
    win_length: Count = 1024
    hop_length: Count = 256
    n_mels: Count = 80
    f_min: Annotated[float, Ge(0)] = 0.0
    f_max: float = 8000.0
    floor: Annotated[float, Gt(0)] = 1e-5  # smallest magnitude before the logarithm

    @model_validator(mode="after")
    def _fits(self) -> MelConfig:
        if max(self.win_length, self.hop_length) > self.n_fft:
            raise ValueError(f"win_length and hop_length must be n_fft ({self.n_fft}) at most")
        if not self.f_min < self.f_max <= self.sample_rate / 2:
            raise ValueError("f_max must be above f_min, and half of sample_rate at most")
        return self

    def num_frames(self, num_samples: int) -> int:
        """Frames of a waveform, the last of which may be partly silence that was added."""
        return -(-num_samples // self.hop_length)


def differing(ours: MelConfig, theirs: MelConfig) -> list[str]:
    """The settings, as ``n_mels 100 (here 80)``, in which a vocoder differs; floors may."""
    return [
        f"{name} {value} (here {getattr(ours, name)})"
        for name, value in theirs.model_dump(exclude={"floor"}).items()
        if value != getattr(ours, name)
    ]


def check_same_mel(ours: MelConfig, theirs: MelConfig, where: str) -> None:
    """Raises EntcompError naming each setting in which a vocoder differs from the model."""
    found = differing(ours, theirs)
    if found:
        raise EntcompError(
            f"{where}: a vocoder of another mel spectrogram: {', '.join(found)}; "
            f"take one of the same settings, or train one with train-vocoder"
        )


def log_mel(waveform_BT: Tensor, config: MelConfig) -> Tensor:
    """Log mel spectrogram of (..., samples) waveforms, of shape (..., frames, n_mels)."""
    *batch, samples = waveform_BT.shape
    magnitude_BFN = stft(waveform_BT.reshape(-1, samples), config).abs()
    mel_BMN = mel_filters(config).to(magnitude_BFN) @ magnitude_BFN
    return mel_BMN.clamp(min=config.floor).log().transpose(1, 2).reshape(*batch, -1, config.n_mels)


def stft(waveform_BT: Tensor, config: MelConfig) -> Tensor:
    """Complex spectra of (batch, samples), of shape (batch, n_fft // 2 + 1, frames)."""
    import torch
    import torch.nn.functional as F

    missing = -waveform_BT.shape[1] % config.hop_length
    edge = (config.n_fft - config.hop_length) // 2
    whole_BT = F.pad(waveform_BT, (0, missing))
    if whole_BT.shape[1] <= edge:
        raise EntcompError(f"{waveform_BT.shape[1]} samples are too few; give {edge} at least")
    padded_BT = F.pad(whole_BT.unsqueeze(1), (edge, edge), mode="reflect").squeeze(1)
    window = torch.hann_window(config.win_length, device=waveform_BT.device)
    return torch.stft(
        padded_BT.float(),
        config.n_fft,
        config.hop_length,
        config.win_length,
        window,
        center=False,
        return_complex=True,
    )


@lru_cache
def mel_filters(config: MelConfig) -> Tensor:
    """Slaney's triangular filters, (n_mels, n_fft // 2 + 1)."""
    from torchaudio.functional import melscale_fbanks

    filters_FM = melscale_fbanks(
        n_freqs=config.n_fft // 2 + 1,
        f_min=config.f_min,
        f_max=config.f_max,
        n_mels=config.n_mels,
        sample_rate=config.sample_rate,
        norm="slaney",
        mel_scale="slaney",
    )
    return filters_FM.T.contiguous()
