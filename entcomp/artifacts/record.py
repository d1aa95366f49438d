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
    """Read a JSON object as the dataclass ``cls``; see `parse_record`."""
    return parse_record(cls, read_json(path), path, remedy)


def parse_record(cls: type[RecordT], values: dict[str, Any], path: Path, remedy: str) -> RecordT:
    """The dataclass ``cls`` of JSON values that stand in ``path``, checked against its types.

    Raises EntcompError naming the file and the key, with the remedy, where a key is missing,
    unknown or of another type.
    """
    from pydantic import TypeAdapter, ValidationError

    names = {one.name for one in fields(cls)}  # type: ignore[arg-type]
    if unknown := sorted(values.keys() - names):
        raise EntcompError(f"{path}: unknown key '{unknown[0]}'; {remedy}")
    try:
        found: Any = TypeAdapter(cls).validate_json(json.dumps(values), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise EntcompError(f"{path}: key '{key}': {first['msg']}; {remedy}") from None
    return found
