"""JSON files that say what an artifact is, as frozen dataclasses."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from entcomp.errors import EntcompError
from entcomp.files import read_json

RecordT = TypeVar("RecordT")


def read_record(cls: type[RecordT], path: Path, remedy: str) -> RecordT:
    """Read a JSON object as the dataclass ``cls``, its values checked against their types.

    Raises EntcompError naming the file and the key, with the remedy, where a key is missing,
    unknown or of another type.
    """
    values = read_json(path)
    names = {one.name for one in fields(cls)}  # type: ignore[arg-type]
    if unknown := sorted(values.keys() - names):
        raise EntcompError(f"{path}: unknown key '{unknown[0]}'; {remedy}")
    return as_record(cls, values, path, remedy)


def as_record(cls: type[RecordT], values: dict[str, Any], path: Path, remedy: str) -> RecordT:
    """Values of a JSON file as the dataclass ``cls``, checked as in `read_record`."""
    from pydantic import TypeAdapter, ValidationError

    try:
        found: Any = TypeAdapter(cls).validate_json(json.dumps(values), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise EntcompError(f"{path}: key '{key}': {first['msg']}; {remedy}") from None
    return found
