"""What stands beside trained weights, so that they can be read: ``config.yaml`` and a JSON file."""

from __future__ import annotations

from pathlib import Path

from entcomp.artifacts.models import ModelInfo
from entcomp.config import Config, save_config
from entcomp.training.ranks import is_first_rank


def write_description(folder: Path, config: Config, info: ModelInfo | None = None) -> None:
    """Write ``config.yaml`` and what the model says of itself, in the first rank.

    After the weights, so that neither ever stands beside older ones.
    """
    if is_first_rank():
        save_config(folder / "config.yaml", config)
        if info is not None:
            info.write(folder)
