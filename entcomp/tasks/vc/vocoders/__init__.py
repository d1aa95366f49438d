"""Vocoders by name or checkpoint; each is one file of this package, or of somebody else's.

See README.md for how to add one.
"""

from __future__ import annotations

from pathlib import Path

from entcomp.audio.mel import MelConfig
from entcomp.errors import EntcompError
from entcomp.registry import Registry
from entcomp.tasks.vc.vocoder import Vocoder, VocoderKind

VOCODERS: Registry[VocoderKind] = Registry(
    "vocoder", "entcomp.tasks.vc.vocoders", "entcomp.vocoders"
)
DEFAULT = "griffin-lim"


def load_vocoder(given: str | Path | None, mel: MelConfig) -> Vocoder:
    """The vocoder of a name, or of a checkpoint's path, for spectrograms of these settings.

    Raises EntcompError as `find_vocoder` does, and for weights that do not fit.
    """
    kind, path = find_vocoder(given)
    return kind.load(path, mel)


def vocoder_sha256(given: str | Path | None) -> str:
    """What names the weights of that vocoder; empty for one without."""
    kind, path = find_vocoder(given)
    return kind.sha256(path)


def find_vocoder(given: str | Path | None) -> tuple[VocoderKind, Path | None]:
    """A kind of vocoder by its name, or by a checkpoint that it recognises, with its path.

    Raises EntcompError if ``given`` is neither.
    """
    name = DEFAULT if given is None else str(given)
    if name in VOCODERS:
        return VOCODERS[name], None
    path = Path(name)
    if not path.exists():
        names = ", ".join(VOCODERS)
        raise EntcompError(f"{path}: no such vocoder; there are: {names}, or a checkpoint's path")
    for _, kind in VOCODERS.items():
        if kind.recognises(path):
            return kind, path
    known = "; ".join(f"{name}: {kind.help}" for name, kind in VOCODERS.items())
    raise EntcompError(f"{path}: a checkpoint of no known vocoder; there are: {known}")


def describe_vocoders() -> str:
    """A line for each vocoder that there is, as ``convert --help`` has them."""
    return "\n\n".join(f"{name}: {kind.help}" for name, kind in VOCODERS.items())
