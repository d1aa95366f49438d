"""Units as other toolkits write them, line by line.

- ``km``: fairseq's labels, ``1 2 3``; line i belongs to row i of a ``.tsv`` (the root folder, then
  ``path<TAB>samples`` rows).
- ``text``: ESPnet's pseudo labels, ``utt_id 1 2 3``.
- ``jsonl``: S3Tokenizer's ``part_I_of_N``, ``{"key": "utt_id", "code": [1, 2, 3]}``.

Tokens of several codebooks are ``17-305`` in the first two, as fairseq's vq-wav2vec writes them
(``17_305`` and ``17,305`` do as well), and in ``jsonl`` a list for each codebook, of shape (layers,
frames), as SpeechTokenizer and other codecs return them.
"""

from __future__ import annotations

import json
import os
import re
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from entcomp.errors import EntcompError
from entcomp.files import atomic_path
from entcomp.formats.layers import SEPARATOR, Layers
from entcomp.kaldi.datadir import Utterance
from entcomp.kaldi.table import check_id
from entcomp.skipped import SkippedUtterances

Vectors = Iterable[tuple[str, np.ndarray]]

NUMBER = re.compile("-?[0-9]{1,18}")


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
    layers: Layers | None = None,
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield ``(utt_id, units)``, int32 (frames,), sorted by id, with only the ids in memory.

    ``ids`` names the lines of each ``km`` file, see `tsv_ids`; ``layers`` tells how tokens of
    several codebooks become units, and ``num_clusters`` counts the units. An utterance that stands
    twice with equal units counts once, as S3Tokenizer repeats some to fill its last batches. Raises
    EntcompError naming file and line for what is no line of units, and for unequal duplicates;
    a unit outside 0..K-1 or an utterance without units is a bad utterance.
    """
    several = layers is not None
    entries = sorted(entry for path in files for entry in _entries(path, kind, ids, several))
    previous: tuple[str, list[Any]] | None = None
    depth: int | None = None
    with ExitStack() as stack:
        streams = {path: stack.enter_context(open(path, "rb")) for path in files}
        for entry in entries:
            streams[entry.path].seek(entry.offset)
            line = streams[entry.path].readline().decode()
            where = f"{entry.path}:{entry.number}"
            values = _parse(line, kind, where, several)[1]
            if several and values:
                depth = depth or len(values[0])
                _check_depth(values, depth, kind, where)
            if previous is not None and previous[0] == entry.utt_id:
                if previous[1] != values:
                    raise EntcompError(
                        f"{where}: {entry.utt_id} twice, with different units; keep one"
                    )
                continue
            previous = entry.utt_id, values
            units = None
            with skipped.guard(entry.utt_id):
                units = _checked(values, num_clusters, where, layers)
            if units is not None:
                yield entry.utt_id, units


def tsv_ids(tsvs: Sequence[Path], utterances: Iterable[Utterance] | None = None) -> list[list[str]]:
    """Utterance ids of the rows of fairseq manifests: those of the same recordings in ``wav.scp``.

    Without ``utterances`` the file names less their endings. Raises EntcompError, naming file and
    line, for a row whose recording is not in ``wav.scp``, for an id that Kaldi's tables cannot
    hold, and for recordings that get the same id.
    """
    known = None if utterances is None else _ids_by_path(utterances)
    taken: dict[str, str] = {}
    ids: list[list[str]] = []
    for tsv in tsvs:
        ids.append([])
        for where, path in _tsv_rows(tsv):
            if known is not None and path not in known:
                raise EntcompError(f"{where}: {path} is not in wav.scp; add it")
            utt_id = known[path] if known is not None else Path(path).stem
            check_id(utt_id, f"{where}: {path}")
            other = taken.setdefault(utt_id, path)
            if other != path:
                raise EntcompError(
                    f"{where}: {path} and {other} would both be {utt_id}; name them in the wav.scp "
                    "of DATA"
                )
            ids[-1].append(utt_id)
    return ids


def _ids_by_path(utterances: Iterable[Utterance]) -> dict[str, str]:
    """Raises EntcompError for a recording of two utterances, since either could be meant."""
    ids: dict[str, str] = {}
    for one in utterances:
        other = ids.setdefault(os.path.abspath(one.wav), one.utt_id)
        if other != one.utt_id:
            raise EntcompError(
                f"{one.wav} is the recording of {other} and of {one.utt_id}, which a .tsv cannot "
                "tell apart; use --format text"
            )
    return ids


def _tsv_rows(tsv: Path) -> Iterator[tuple[str, str]]:
    """Yield where each row stands, and the recording that it names."""
    lines = (line for _, line in _lines(tsv))
    root = next(lines, "").strip()
    if not root:
        raise EntcompError(f"{tsv}: empty; expected the root folder, then 'path<TAB>samples'")
    for number, line in enumerate(lines, start=2):
        name = line.split("\t")[0].strip()
        if not name:
            raise EntcompError(f"{tsv}:{number}: expected 'path<TAB>samples', got {line!r}")
        yield f"{tsv}:{number}", os.path.abspath(os.path.join(root, name))


def write_units(path: Path, kind: str, vectors: Vectors) -> int:
    """Write units (int32 vectors) as lines of a format, atomically; returns their number."""
    utterances = 0
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8") as stream:
        for utt_id, units in vectors:
            stream.write(_line(kind, utt_id, units.tolist()) + "\n")
            utterances += 1
    return utterances


def write_tsv(path: Path, recordings: Iterable[tuple[str, int]]) -> None:
    """Write fairseq's manifest of ``(path, samples)``, atomically."""
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8") as stream:
        stream.write("/\n")
        for wav, samples in recordings:
            stream.write(f"{os.path.abspath(wav)[1:]}\t{samples}\n")


def _entries(
    path: Path, kind: str, ids: Mapping[Path, Sequence[str]] | None, several: bool
) -> Iterator[Entry]:
    names = None if ids is None else ids[path]
    number = 0
    for number, (offset, line) in enumerate(_lines(path), start=1):
        if names is None:
            yield Entry(_parse(line, kind, f"{path}:{number}", several)[0], path, number, offset)
        elif number <= len(names):
            yield Entry(names[number - 1], path, number, offset)
    if names is not None and number != len(names):
        raise EntcompError(f"{path}: {number} lines for {len(names)} rows of its .tsv")


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Byte offset and text of each line, without the byte order mark of Windows."""
    try:
        with open(path, "rb") as stream:
            offset = len(BOM_UTF8) if stream.read(len(BOM_UTF8)) == BOM_UTF8 else 0
            stream.seek(offset)
            for line in stream:
                if b"\r" in line.rstrip(b"\r\n"):  # else its rows would be one
                    raise EntcompError(
                        f"{path}: a carriage return within a line; convert its ends of lines"
                    )
                yield offset, line.decode()
                offset += len(line)
    except FileNotFoundError:
        raise EntcompError(f"{path}: no such file; check the path") from None
    except UnicodeDecodeError:
        raise EntcompError(f"{path}: not UTF-8 text") from None


def _parse(line: str, kind: str, where: str, several: bool) -> tuple[str, list[Any]]:
    """Id (empty for ``km``) and units of a line: an int, or a tuple if ``several``, a frame."""
    try:
        if kind == "jsonl":
            record = json.loads(line)
            key, values = str(record["key"]), list(record["code"])
            if several:
                values = list(zip(*values, strict=True))
        else:
            key, *words = ["", *line.split()] if kind == "km" else line.split()
            values = [_numbers(word) if several else _number(word) for word in words]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        reason = f"{type(error).__name__}: {error}"
        hint = "" if several else "; for several codebooks pass --layers"
        raise EntcompError(f"{where}: not a line of --format {kind} ({reason}){hint}") from None
    if kind != "km":
        check_id(key, where)
    return key, values


def _numbers(word: str) -> tuple[int, ...]:
    return tuple(_number(one) for one in SEPARATOR.split(word))


def _number(word: str) -> int:
    """Digits alone: Python would take 17_305, of two codebooks, for 17305."""
    if not NUMBER.fullmatch(word):
        raise ValueError(f"{word!r:.40} is not a unit")
    return int(word)


def _check_depth(values: list[Any], depth: int, kind: str, where: str) -> None:
    """All frames of all utterances have a number for each codebook."""
    found = next((len(frame) for frame in values if len(frame) != depth), None)
    if found is not None:
        shape = "; a list for each layer is expected, not for each frame" if kind == "jsonl" else ""
        raise EntcompError(f"{where}: {found} numbers a frame, and {depth} before{shape}")


def _checked(values: list[Any], num_clusters: int, where: str, layers: Layers | None) -> np.ndarray:
    if not values:
        raise EntcompError(f"{where}: no units")
    if layers is not None:
        try:
            return np.array([layers.unit(frame) for frame in values], np.int32)
        except EntcompError as error:
            raise EntcompError(f"{where}: {error}") from None
    for value in values:
        if type(value) is not int or not 0 <= value < num_clusters:
            hint = "; for several codebooks pass --layers" if isinstance(value, list) else ""
            raise EntcompError(
                f"{where}: unit {value!r:.40} is not one of 0..{num_clusters - 1}{hint}"
            )
    return np.array(values, np.int32)


def _line(kind: str, utt_id: str, units: list[int]) -> str:
    if kind == "jsonl":
        return json.dumps({"key": utt_id, "code": units}, ensure_ascii=False)
    return " ".join(map(str, units if kind == "km" else [utt_id, *units]))
