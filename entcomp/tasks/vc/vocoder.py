"""From log mel spectrograms to waveforms: a trained HiFi-GAN, or Griffin-Lim without weights."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from entcomp.audio.mel import MelConfig, mel_filters
from entcomp.files import sha256_file
from entcomp.tasks.vc.hifigan import delay, load_hifigan

GRIFFIN_LIM_ITERATIONS = 60
MEL_INVERSION_ITERATIONS = 50


class Vocoder(Protocol):
    """Makes (frames * hop_length,) samples of a log mel spectrogram (frames, n_mels)."""

    name: str

    def __call__(self, mel_MN: Tensor) -> Tensor: ...


def load_vocoder(path: Path | None, mel: MelConfig) -> Vocoder:
    """The HiFi-GAN at ``path`` (see `load_hifigan` for its errors), or Griffin-Lim for None."""
    return GriffinLim(mel) if path is None else load_hifigan(path, mel)


def vocoder_sha256(path: Path | None) -> str:
    """What names the weights at ``path``; empty for Griffin-Lim."""
    if path is None:
        return ""
    return sha256_file(path / "model.safetensors" if path.is_dir() else path)


class GriffinLim:
    """Phases by Griffin-Lim, for the magnitudes that fit the mel."""

    def __init__(self, mel: MelConfig) -> None:
        self.name = f"Griffin-Lim {GRIFFIN_LIM_ITERATIONS}"
        self.mel = mel

    def __call__(self, mel_MN: Tensor) -> Tensor:
        from torchaudio.functional import griffinlim

        mel = self.mel
        # Its frames are centred on their first sample, ours on the middle of their samples; the
        # last one is repeated because it counts the frame that begins at the end as well.
        frames_MN = torch.cat([mel_MN, mel_MN[-1:]])
        waveform = griffinlim(
            magnitudes(frames_MN, mel).T,
            window=torch.hann_window(mel.win_length),
            n_fft=mel.n_fft,
            hop_length=mel.hop_length,
            win_length=mel.win_length,
            power=1.0,
            n_iter=GRIFFIN_LIM_ITERATIONS,
            momentum=0.99,
            length=len(mel_MN) * mel.hop_length,
            rand_init=False,
        )
        return delay(waveform, mel.hop_length // 2)


def magnitudes(mel_MN: Tensor, config: MelConfig) -> Tensor:
    """Non-negative magnitudes (frames, bins) whose mel is nearest, by multiplicative updates."""
    filters_NF = mel_filters(config).to(mel_MN)
    target_MF = mel_MN.exp() @ filters_NF
    magnitude_MF = target_MF.clone()
    for _ in range(MEL_INVERSION_ITERATIONS):
        reached_MF = magnitude_MF @ filters_NF.T @ filters_NF
        magnitude_MF = magnitude_MF * target_MF / reached_MF.clamp(min=1e-12)
    return magnitude_MF
