"""Kaldi tables: ``key value`` lines, unique and sorted as ``LC_ALL=C sort`` does."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from entcomp.errors import EntcompError
from entcomp.files import atomic_path

# Kaldi divides lines at white space, and ours at a space or a tab; no line ends inside of an id.
_ID = re.compile(r"[^\s\x00-\x20\x7f]+")


def check_id(utt_id: str, where: object) -> None:
    """Raises EntcompError for an id that a table cannot hold: empty, or with spaces in it."""
    if not _ID.fullmatch(utt_id):
        raise EntcompError(
            f"{where}: {utt_id!r} cannot be an utterance's id: rename it, without spaces"
        )


def safe_id(name: str) -> str:
    """The name with ``_`` for what no id can hold. Raises EntcompError for an empty one."""
    if not name.strip():
        raise EntcompError(f"{name!r} cannot be an id: it is empty")
    return re.sub(r"[\s\x00-\x20\x7f]+", "_", name.strip())


def iter_table(path: Path, empty_values: bool = False) -> Iterator[tuple[str, str]]:
    """Yield ``(key, value)`` line by line, in constant memory.

    Raises EntcompError for a missing file, a line without a value (unless ``empty_values``), a
    duplicate key (kaldiio would keep the last in silence), keys out of order, or bytes that are
    not UTF-8.
    """
    previous = ""
    try:
        with open(path, encoding="utf-8-sig") as stream:  # Windows writes a byte order mark
            for number, line in enumerate(stream, start=1):
                key, value = (*re.split("[ \t]", line.rstrip("\n"), maxsplit=1), "")[:2]
                value = value.strip()
                if not key or not (value or empty_values):
                    raise EntcompError(f"{path}:{number}: expected 'key value', got {line!r}")
                if key == previous:
                    raise EntcompError(f"{path}:{number}: duplicate id {key}; keep one of them")
                if key < previous:
                    raise EntcompError(
                        f"{path}:{number}: {key} after {previous}; "
                        f"run LC_ALL=C sort -o {path} {path}"
                    )
                previous = key
                yield key, value
    except FileNotFoundError:
        raise EntcompError(f"{path}: no such file; check the path") from None
    except UnicodeDecodeError:
        raise EntcompError(f"{path}: not UTF-8; convert it with iconv") from None


def read_table(path: Path, empty_values: bool = False) -> dict[str, str]:
    """A whole table as a dict, in the order of the file; see `iter_table`."""
    return dict(iter_table(path, empty_values))


def join(
    left: Iterable[Sequence[Any]], *others: Iterable[Sequence[Any]]
) -> Iterator[tuple[Any, ...]]:
    """Each row of ``left``, and that of each other table with the same key, or None.

    Rows begin with their key; all tables are sorted and unique. They are read to their ends, so
    that no fault in them is passed over.
    """
    tables = [iter(one) for one in others]
    rows = [next(table, None) for table in tables]
    for row in left:
        for number, table in enumerate(tables):
            while (other := rows[number]) is not None and other[0] < row[0]:
                rows[number] = next(table, None)
        yield row, *(other if other and other[0] == row[0] else None for other in rows)
    for table in tables:
        deque(table, maxlen=0)


def write_table(path: Path, rows: Iterable[tuple[str, str]]) -> None:
    """Write ``key value`` lines atomically, sorted by key (codepoints, which is UTF-8's order)."""
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8") as stream:
        for key, value in sorted(rows):
            check_id(key, path)
            stream.write(f"{key} {value}\n" if value else f"{key}\n")
