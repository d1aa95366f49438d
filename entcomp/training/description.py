"""What stands beside trained weights, so that they can be read: ``config.yaml`` and a JSON file."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from entcomp.config import Config, save_config
from entcomp.errors import EntcompError
from entcomp.files import read_json, write_json
from entcomp.training.ranks import is_first_rank

Info = TypeVar("Info")


def describe(folder: Path, config: Config, **infos: Any) -> None:
    """Write ``config.yaml`` and ``<name>.json`` of dataclasses, in the first rank.

    After the weights, so that neither ever stands beside older ones.
    """
    if is_first_rank():
        save_config(folder / "config.yaml", config)
        for name, info in infos.items():
            write_json(folder / f"{name}.json", asdict(info))


def read_task(kind: type[Info], folder: Path) -> Info:
    """``task.json`` of a trained model. Raises EntcompError if there is none, or another's."""
    path = folder / "task.json"
    if not path.exists():
        there = sorted(path.parent.name for path in folder.parent.glob("*/task.json"))
        raise EntcompError(f"{folder}: no such model; there are: {', '.join(there) or 'none'}")
    try:
        return kind(**read_json(path))
    except TypeError as error:
        raise EntcompError(f"{path}: {error}; train the model again") from None
