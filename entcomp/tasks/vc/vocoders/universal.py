"""The universal HiFi-GAN of Kong et al. 2020 (V1), for the default mel spectrogram."""

from __future__ import annotations

from pathlib import Path

from entcomp.audio.mel import MelConfig, differing
from entcomp.downloads import download_folder, fetch
from entcomp.tasks.vc.vocoder import Vocoder, VocoderKind
from entcomp.tasks.vc.vocoders import VOCODERS
from entcomp.tasks.vc.vocoders.hifigan import load_hifigan

INSTALLER = Path(__file__).with_name("install_hifigan.sh")
CHECKPOINT = "generator_universal.pth.tar"
MEL = MelConfig()


def is_installed_for(mel: MelConfig) -> bool:
    """Is it there, and for spectrograms of these settings?"""
    return (download_folder("hifigan") / CHECKPOINT).is_file() and not differing(mel, MEL)


def load_universal(path: Path | None, mel: MelConfig) -> Vocoder:
    """Raises EntcompError for another mel, or where it is neither there nor can be fetched."""
    path = download_folder("hifigan") / CHECKPOINT
    remedy = "run tools/install_hifigan.sh, or pass another --vocoder"
    return load_hifigan(fetch(path, INSTALLER, "the universal HiFi-GAN (104 MB)", remedy), mel)


VOCODERS.register("universal")(
    VocoderKind(
        help="a HiFi-GAN for all voices; the default where tools/install_hifigan.sh has put it",
        load=load_universal,
    )
)
