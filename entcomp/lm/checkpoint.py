"""``EXP/lm``: the kept weights, the config they belong to, and their codebook."""

from __future__ import annotations

from pathlib import Path

from entcomp.artifacts.models import LMInfo, checked_weights
from entcomp.config import load_config
from entcomp.lm.config import LMConfig

CONFIG = "config.yaml"


def read_lm(folder: Path, codebook_sha256: str | None = None) -> tuple[LMConfig, LMInfo]:
    """What the LM in ``EXP/lm`` is, its weights checked but not loaded.

    Raises EntcompError if there is none, if it was trained on another codebook than the one given,
    or if its weights are not those that lm.json names.
    """
    info = LMInfo.read(folder)
    info.check_codebook(codebook_sha256, folder)
    checked_weights(folder, info.lm_sha256)
    return load_config(LMConfig, folder / CONFIG), info
