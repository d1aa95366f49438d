"""YAML to frozen, typed configs; an unknown key or a wrong type names its file and key."""

from __future__ import annotations

import logging
import re
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from entcomp.errors import EntcompError
from entcomp.files import write_text


class Config(BaseModel):
    """Base of all configs: immutable, strict, no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


ConfigT = TypeVar("ConfigT", bound=Config)

log = logging.getLogger(__name__)


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


def load_config(cls: type[ConfigT], path: Path) -> ConfigT:
    """Read a YAML file as ``cls``. Raises EntcompError that names the file and the key."""
    return make_config(cls, read_yaml(path), source=str(path))


def read_yaml(path: Path) -> dict[Any, Any]:
    """A YAML mapping, in which no text runs code; empty for an empty file.

    Raises EntcompError if it is missing or is none.
    """
    try:
        values = _parse(path.read_text(encoding="utf-8-sig"), str(path)) or {}
    except FileNotFoundError:
        raise EntcompError(f"{path}: no such config; see conf/ for those that exist") from None
    except UnicodeDecodeError:
        raise EntcompError(f"{path}: not UTF-8; convert it with iconv") from None
    if not isinstance(values, dict):
        raise EntcompError(f"{path}: expected 'key: value' lines")
    return values


def resolve_config(default: ConfigT, path: Path | None, changes: Mapping[str, Any]) -> ConfigT:
    """``default`` or what a YAML file says, and over it ``changes``: values by dotted keys.

    Raises EntcompError for a key that does not exist, with those that do, and for a wrong value.
    """
    config = load_config(type(default), path) if path else default
    values = config.model_dump()
    log.info("config: %s", path or "the defaults")
    for key, value in changes.items():
        log.info("config: %s = %s", key, value)
        *sections, name = key.split(".")
        inner = values
        for section in sections:
            inner[section] = inner.get(section) or {}
            inner = inner[section]
            if not isinstance(inner, dict):
                raise EntcompError(f"key '{key}': '{section}' is a value, without keys of its own")
        inner[name] = value
    return make_config(type(default), values, source=str(path or "options"))


def parse_changes(changes: Sequence[str]) -> dict[str, Any]:
    """``["training.max_steps=100"]`` to values by keys, each value read as YAML.

    >>> parse_changes(["training.learning_rate=3e-4", "encoder.kind=transformer"])
    {'training.learning_rate': 0.0003, 'encoder.kind': 'transformer'}
    """
    pairs = parse_pairs(changes, "--set", "KEY=VALUE, as in training.max_steps=100")
    return {key: _parse(value, f"--set {key}={value}") for key, value in pairs.items()}


def parse_pairs(texts: Sequence[str], option: str, expected: str) -> dict[str, str]:
    """Values by names, of texts as in ``NAME=VALUE``. Raises EntcompError for any other."""
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not name.strip() or not equals:
            raise EntcompError(f"{option} {text}: expected {expected}")
        found[name.strip()] = value
    return found


def make_config(cls: type[ConfigT], values: dict[str, Any], source: str) -> ConfigT:
    """Check ``values`` against ``cls``; ``source`` names their origin in errors."""
    if odd := [key for key in values if not isinstance(key, str)]:
        raise EntcompError(f"{source}: key {odd[0]!r} is no text")
    try:
        return cls(**values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            known = ", ".join(sorted(_section(cls, first["loc"][:-1]).model_fields))
            raise EntcompError(f"{source}: unknown key '{key}'; known keys: {known}") from None
        reason = first["msg"].removeprefix("Value error, ")
        raise EntcompError(f"{source}: key '{key}': {reason}") from None


def _section(cls: type[BaseModel], path: Sequence[int | str]) -> type[BaseModel]:
    """The config that ``path`` leads to, which may be optional."""
    for name in path:
        annotation = cls.model_fields[str(name)].annotation
        kinds = (annotation, *get_args(annotation))
        cls = next(one for one in kinds if isinstance(one, type) and issubclass(one, BaseModel))
    return cls


def _parse(text: str, source: str) -> Any:
    try:
        return yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, ValueError, RecursionError, TypeError) as error:
        raise EntcompError(f"{source}: not YAML: {' '.join(str(error).split())}") from None


def save_config(path: Path, config: Config) -> None:
    """Write the resolved config as YAML."""
    write_text(path, yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False))
