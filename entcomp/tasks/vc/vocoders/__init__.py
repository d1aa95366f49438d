"""Vocoders by name or checkpoint; each is one file of this package, or of another package.

See README.md for how to add one.
"""

from __future__ import annotations

import logging
from pathlib import Path

from entcomp.audio.mel import MelConfig
from entcomp.errors import EntcompError, naming_missing_packages
from entcomp.registry import Registry
from entcomp.tasks.vc.vocoder import Vocoder, VocoderKind

VOCODERS: Registry[VocoderKind] = Registry(
    "vocoder", "entcomp.tasks.vc.vocoders", "entcomp.vocoders"
)

log = logging.getLogger(__name__)


def load_vocoder(given: str | Path | None, mel: MelConfig) -> Vocoder:
    """The vocoder of a name, or of a checkpoint's path, for spectrograms of these settings.

    None is the universal HiFi-GAN where it is installed and fits, else Griffin-Lim, with a
    warning. Raises EntcompError if ``given`` is no vocoder, or one that cannot be loaded.
    """
    kind, path = _default(mel) if given is None else _find(str(given))
    with naming_missing_packages(f"--vocoder {given or ''}".rstrip()):
        return kind.load(path, mel)


def _find(name: str) -> tuple[VocoderKind, Path | None]:
    if name in VOCODERS:
        return VOCODERS[name], None
    path = Path(name)
    if not path.exists():
        names = ", ".join(VOCODERS)
        raise EntcompError(f"{path}: no such vocoder; available: {names}, or a checkpoint's path")
    for _, kind in VOCODERS.items():
        if kind.recognises(path):
            return kind, path
    known = "; ".join(f"{name}: {kind.help}" for name, kind in VOCODERS.items())
    raise EntcompError(f"{path}: a checkpoint of no known vocoder; available: {known}")


def _default(mel: MelConfig) -> tuple[VocoderKind, None]:
    from entcomp.tasks.vc.vocoders.universal import is_installed_for

    if is_installed_for(mel):
        return VOCODERS["universal"], None
    log.warning(
        "no trained vocoder is installed for this mel spectrogram: using Griffin-Lim; for better "
        "speech run tools/install_hifigan.sh, or pass --vocoder"
    )
    return VOCODERS["griffin-lim"], None


def describe_vocoders() -> str:
    """A line for each vocoder that there is, as ``convert --help`` has them."""
    return "\n\n".join(f"{name}: {kind.help}" for name, kind in VOCODERS.items())
