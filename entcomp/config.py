"""YAML to frozen, typed configs; an unknown key or a wrong type names its file and key."""

from __future__ import annotations

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from entcomp.errors import EntcompError
from entcomp.files import atomic_path


class Config(BaseModel):
    """Base of all configs: immutable, strict, no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


ConfigT = TypeVar("ConfigT", bound=Config)


class _Loader(yaml.SafeLoader):
    """YAML that reads ``3e-4`` as a number, and refuses a key given twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"key '{key}' twice")
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"),
    list("-+0123456789."),
)


def load_config(cls: type[ConfigT], path: Path, overrides: dict[str, Any] | None = None) -> ConfigT:
    """Read a YAML file as ``cls``; ``overrides`` (from the command line) win over the file.

    Raises EntcompError that names the file and the key.
    """
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader) or {}
    except FileNotFoundError:
        raise EntcompError(f"{path}: no such config; see conf/ for those that exist") from None
    except yaml.YAMLError as error:
        raise EntcompError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise EntcompError(f"{path}: expected 'key: value' lines")
    return make_config(cls, values | (overrides or {}), source=str(path))


def make_config(cls: type[ConfigT], values: dict[str, Any], source: str) -> ConfigT:
    """Check ``values`` against ``cls``; ``source`` names their origin in errors."""
    try:
        return cls(**values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            known = ", ".join(sorted(cls.model_fields))
            raise EntcompError(f"{source}: unknown key '{key}'; known keys: {known}") from None
        raise EntcompError(f"{source}: key '{key}': {first['msg']}") from None


def save_config(path: Path, config: Config) -> None:
    """Write the resolved config as YAML."""
    with atomic_path(path) as temporary:
        text = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)
        temporary.write_text(text, encoding="utf-8")
