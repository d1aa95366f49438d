"""Units as ``entcomp tokenize`` writes them, an object of JSON a line; read again, or generated."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from entcomp.errors import EntcompError
from entcomp.kaldi.table import check_id


@dataclass(frozen=True)
class TokenLine:
    """One line: ``where`` it stands, and what it tells.

    ``units`` int32 (frames,), or (runs,) where ``durations`` (runs,) tell the frames of each;
    ``groups`` int32 (groups,), in frames. ``facts`` are its other values.
    """

    where: str
    utt_id: str
    units: np.ndarray
    groups: np.ndarray | None
    durations: np.ndarray | None
    facts: dict[str, Any]


def read_token_lines(path: Path) -> Iterator[TokenLine]:
    """Yield the lines in order. Raises EntcompError, naming file and line, for anything else."""
    with open(path, "rb") as stream:
        for number, line in enumerate(stream, start=1):
            where = f"{path}:{number}"
            try:
                record = json.loads(line)
                utt_id, units = record.pop("utt_id"), _integers(record.pop("units"))
                groups, durations = (
                    None if record.get(name) is None else _integers(record[name])
                    for name in ("groups", "durations")
                )
                check_id(utt_id, where)
            except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
                reason = f"{type(error).__name__}: {error}"
                raise EntcompError(
                    f"{where}: not a line of tokenize, with 'utt_id' and 'units' ({reason:.200})"
                ) from None
            yield TokenLine(where, utt_id, units, groups, durations, record)


def _integers(values: Any) -> np.ndarray:
    if not isinstance(values, list) or any(type(one) is not int for one in values):
        raise TypeError("not a list of integers")
    if any(abs(one) >= 1 << 31 for one in values):
        raise ValueError("an integer of more than 32 bits")
    return np.array(values, np.int32)
