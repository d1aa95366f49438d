"""The `audiofolder` of Hugging Face's datasets: recordings, and metadata.csv or metadata.jsonl.

https://huggingface.co/docs/datasets/audio_load: a row for each file, its path under ``file_name``.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from entcomp.errors import EntcompError
from entcomp.files import atomic_path
from entcomp.formats.spoken import Spoken
from entcomp.kaldi.recordings import wav_entry

NAMES = ("metadata.csv", "metadata.jsonl")
FILE = "file_name"
# Columns as data sets name them; the first of each is what we write.
TEXT_COLUMNS = ("transcription", "text", "sentence", "transcript")
SPEAKER_COLUMNS = ("speaker_id", "speaker", "client_id")
LANGUAGE_COLUMNS = ("language", "locale")
ID = "id"


class AudioFolder:
    """Utterances of a folder with metadata.csv or metadata.jsonl; their texts from ``text_column``.

    Raises EntcompError, naming file and line, for a folder without or with both, for a row without
    a file name, or with one that would be a command in wav.scp, and if there is no such column.
    """

    def __init__(self, folder: Path, text_column: str | None = None) -> None:
        self.folder = folder
        self.not_taken: set[str] = set()
        self._text_columns = (text_column,) if text_column else TEXT_COLUMNS
        self._given = text_column
        found = [folder / name for name in NAMES if (folder / name).is_file()]
        if len(found) != 1:
            below = sorted(
                {path.parent.name for name in NAMES for path in folder.glob(f"*/{name}")}
            )
            hint = f"; name one of its folders: {', '.join(below)}" if below else ""
            raise EntcompError(f"{folder}: expected one of {' and '.join(NAMES)} in it{hint}")
        self.metadata = found[0]

    def __iter__(self) -> Iterator[tuple[str, Spoken | str]]:
        for where, row in self._rows():
            name = row.get(FILE)
            if not isinstance(name, str) or not PurePosixPath(name).name:
                columns = ", ".join(row)
                raise EntcompError(f"{where}: no {FILE}; the columns are: {columns}")
            if self._given and self._given not in row:
                columns = ", ".join(row)
                raise EntcompError(f"{where}: no column {self._given}; available: {columns}")
            utt_id = _text(row, (ID,)) or str(PurePosixPath(name).with_suffix("")).replace("/", "_")
            texts = {one: str(row[one]) for one in row if one.startswith("text.") and row[one]}
            text = _text(row, self._text_columns)
            if text is not None:
                texts["text"] = text
            self._note(row, texts)
            speaker, language = _text(row, SPEAKER_COLUMNS), _text(row, LANGUAGE_COLUMNS)
            wav = wav_entry(self.folder / name)
            yield utt_id, Spoken(utt_id, wav, utt_id, None, None, speaker, language, texts)

    def _note(self, row: dict[str, Any], texts: dict[str, str]) -> None:
        known = {FILE, ID, *texts}
        for columns in (self._text_columns, SPEAKER_COLUMNS, LANGUAGE_COLUMNS):
            known |= set(_present(row, columns)[:1])
        self.not_taken |= row.keys() - known

    def _rows(self) -> Iterator[tuple[str, dict[str, Any]]]:
        try:
            with open(self.metadata, encoding="utf-8-sig", newline="") as stream:
                if self.metadata.suffix == ".csv":
                    reader = csv.DictReader(stream, strict=True)
                    for row in reader:
                        where = f"{self.metadata}:{reader.line_num}"
                        if None in row or None in row.values():
                            raise EntcompError(f"{where}: not as many fields as the first line has")
                        yield where, row
                else:
                    for number, line in enumerate(stream, start=1):
                        where = f"{self.metadata}:{number}"
                        if line.strip():
                            yield where, _object(line, where)
        except (UnicodeDecodeError, csv.Error) as error:
            raise EntcompError(f"{self.metadata}: not a table in UTF-8 ({error})") from None


def write_metadata(folder: Path, rows: Sequence[Spoken]) -> Path:
    """``metadata.csv``, ``wav`` being a path within the folder; columns that are empty stay out."""
    table = [
        {
            FILE: one.wav,
            ID: one.utt_id,
            TEXT_COLUMNS[0]: one.texts.get("text", ""),
            SPEAKER_COLUMNS[0]: one.speaker or "",
            LANGUAGE_COLUMNS[0]: one.language or "",
            **{name: text for name, text in one.texts.items() if name != "text"},
        }
        for one in rows
    ]
    columns = [name for name in _columns(table) if any(row.get(name) for row in table)]
    path = folder / NAMES[0]
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(table)
    return path


def _columns(table: Iterable[dict[str, str]]) -> list[str]:
    """In the order in which rows have them first."""
    return list(dict.fromkeys(name for row in table for name in row))


def _present(row: dict[str, Any], columns: Iterable[str]) -> list[str]:
    return [one for one in columns if row.get(one) not in (None, "")]


def _text(row: dict[str, Any], columns: Iterable[str]) -> str | None:
    """What the first of the columns that is filled holds."""
    return next((str(row[one]) for one in _present(row, columns)), None)


def _object(line: str, where: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError as error:
        raise EntcompError(f"{where}: not JSON ({error})") from None
    if not isinstance(found, dict):
        raise EntcompError(f"{where}: not a JSON object")
    return found
