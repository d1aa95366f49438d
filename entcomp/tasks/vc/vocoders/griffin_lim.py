"""Griffin-Lim: no weights, phases that fit the magnitudes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from entcomp.audio.mel import MelConfig, mel_filters
from entcomp.tasks.vc.vocoder import VocoderKind, delay
from entcomp.tasks.vc.vocoders import VOCODERS

if TYPE_CHECKING:
    from torch import Tensor

ITERATIONS = 60
MEL_INVERSION_ITERATIONS = 50


class GriffinLim:
    """Phases by Griffin-Lim, for the magnitudes that fit the mel."""

    name = f"Griffin-Lim {ITERATIONS}"
    sha256 = ""

    def __init__(self, mel: MelConfig) -> None:
        self.mel = mel

    def __call__(self, mel_MN: Tensor) -> Tensor:
        import torch
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
            n_iter=ITERATIONS,
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


VOCODERS.register("griffin-lim")(
    VocoderKind(
        help="phases that fit the magnitudes; no weights", load=lambda path, mel: GriffinLim(mel)
    )
)
