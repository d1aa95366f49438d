"""Units as other toolkits write them, line by line.

- ``km``: fairseq's labels, ``1 2 3``; line i belongs to row i of a ``.tsv`` (the root folder, then
  ``path<TAB>samples`` rows).
- ``text``: ESPnet's pseudo labels, ``utt_id 1 2 3``.
- ``jsonl``: S3Tokenizer's ``part_I_of_N``, ``{"key": "utt_id", "code": [1, 2, 3]}``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from entcomp.errors import EntcompError
from entcomp.files import atomic_path
from entcomp.kaldi.datadir import Utterance
from entcomp.skipped import SkippedUtterances

Vectors = Iterable[tuple[str, np.ndarray]]


@dataclass(frozen=True, order=True)
class Entry:
    """Where an utterance's units stand: line ``number`` (from 1), at byte ``offset``."""

    utt_id: str
    path: Path
    number: int
    offset: int


def read_units(
    files: Sequence[Path],
    kind: str,
    num_clusters: int,
    skipped: SkippedUtterances,
    ids: Mapping[Path, Sequence[str]] | None = None,
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield ``(utt_id, units)``, int32 (frames,), sorted by id, with only the ids in memory.

    ``ids`` names the lines of each ``km`` file, see `tsv_ids`. An utterance that stands twice with
    equal units counts once, as S3Tokenizer repeats some to fill its last batches. Raises
    EntcompError naming file and line for what is no line of units, and for unequal duplicates;
    a unit outside 0..K-1 or an utterance without units is a bad utterance.
    """
    entries = sorted(entry for path in files for entry in _entries(path, kind, ids))
    previous: tuple[str, list[Any]] | None = None
    with ExitStack() as stack:
        streams = {path: stack.enter_context(open(path, "rb")) for path in files}
        for entry in entries:
            streams[entry.path].seek(entry.offset)
            line = streams[entry.path].readline().decode()
            where = f"{entry.path}:{entry.number}"
            values = _parse(line, kind, where)[1]
            if previous is not None and previous[0] == entry.utt_id:
                if previous[1] != values:
                    raise EntcompError(f"{where}: {entry.utt_id} again, with other units")
                continue
            previous = entry.utt_id, values
            units = None
            with skipped.guard(entry.utt_id):
                units = _checked(values, num_clusters, where)
            if units is not None:
                yield entry.utt_id, units


def tsv_ids(tsv: Path, utterances: Iterable[Utterance] | None = None) -> list[str]:
    """Utterance ids of a fairseq manifest's rows: those of the same recordings in ``wav.scp``.

    Without ``utterances`` the file names less their endings. Raises EntcompError for a row whose
    recording is not in ``wav.scp``.
    """
    known = None
    if utterances is not None:
        known = {os.path.abspath(one.wav): one.utt_id for one in utterances}
    lines = [line for _, line in _lines(tsv)]
    if not lines:
        raise EntcompError(f"{tsv}: empty; expected the root folder, then 'path<TAB>samples'")
    ids = []
    for number, line in enumerate(lines[1:], start=2):
        path = os.path.abspath(os.path.join(lines[0].strip(), line.split("\t")[0].strip()))
        if known is not None and path not in known:
            raise EntcompError(f"{tsv}:{number}: {path} is not in wav.scp; add it")
        ids.append(known[path] if known is not None else Path(path).stem)
    return ids


def write_units(path: Path, kind: str, vectors: Vectors) -> int:
    """Write units (int32 vectors) as lines of a format, atomically; returns their number."""
    utterances = 0
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8") as stream:
        for utt_id, units in vectors:
            stream.write(_line(kind, utt_id, units.tolist()) + "\n")
            utterances += 1
    return utterances


def write_tsv(path: Path, utterances: Iterable[Utterance]) -> None:
    """Write fairseq's manifest of recordings. Raises EntcompError for segments and commands."""
    import soundfile

    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8") as stream:
        stream.write("/\n")
        for utterance in utterances:
            if utterance.start is not None or utterance.wav.endswith("|"):
                raise EntcompError(
                    f"{path}: {utterance.utt_id} is a segment or a command, which a .tsv cannot "
                    "name; use --format text"
                )
            try:
                samples = soundfile.info(utterance.wav).frames
            except (soundfile.SoundFileError, OSError) as error:
                raise EntcompError(f"{utterance.wav}: unreadable audio ({error})") from None
            stream.write(f"{os.path.abspath(utterance.wav)[1:]}\t{samples}\n")


def _entries(path: Path, kind: str, ids: Mapping[Path, Sequence[str]] | None) -> Iterator[Entry]:
    names = None if ids is None else ids[path]
    number = 0
    for number, (offset, line) in enumerate(_lines(path), start=1):
        if names is None:
            yield Entry(_parse(line, kind, f"{path}:{number}")[0], path, number, offset)
        elif number <= len(names):
            yield Entry(names[number - 1], path, number, offset)
    if names is not None and number != len(names):
        raise EntcompError(f"{path}: {number} lines for {len(names)} rows of its .tsv")


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Byte offset and text of each line."""
    offset = 0
    try:
        with open(path, "rb") as stream:
            for line in stream:
                yield offset, line.decode()
                offset += len(line)
    except FileNotFoundError:
        raise EntcompError(f"{path}: no such file") from None
    except UnicodeDecodeError:
        raise EntcompError(f"{path}: not UTF-8 text") from None


def _parse(line: str, kind: str, where: str) -> tuple[str, list[Any]]:
    """Id (empty for ``km``) and units of a line."""
    try:
        if kind == "jsonl":
            record = json.loads(line)
            return str(record["key"]), list(record["code"])
        key, *values = ["", *line.split()] if kind == "km" else line.split()
        return key, [int(value) for value in values]
    except (ValueError, KeyError, TypeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise EntcompError(f"{where}: not a line of --format {kind} ({reason})") from None


def _checked(values: list[Any], num_clusters: int, where: str) -> np.ndarray:
    if not values:
        raise EntcompError(f"{where}: no units")
    for value in values:
        if type(value) is not int or not 0 <= value < num_clusters:
            raise EntcompError(f"{where}: unit {value!r} is not one of 0..{num_clusters - 1}")
    return np.array(values, np.int32)


def _line(kind: str, utt_id: str, units: list[int]) -> str:
    if kind == "jsonl":
        return json.dumps({"key": utt_id, "code": units}, ensure_ascii=False)
    return " ".join(map(str, units if kind == "km" else [utt_id, *units]))
