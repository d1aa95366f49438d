"""What all data preparation shares: corpora come in row by row, Kaldi data dirs go out.

Nothing here holds a corpus in memory. What must be sorted goes through sort(1), which spills to
TMPDIR; tables are joined as they stream by. What is left out is counted and listed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from entcomp.artifacts.stage import Stage
from entcomp.errors import EntcompError
from entcomp.evaluation.text.normalizer import normalize
from entcomp.files import atomic_path
from entcomp.progress import track

Row = Sequence[str]
SORT_MEMORY = "512M"


@dataclass(frozen=True)
class Entry:
    """One utterance: ``texts`` by language, ``""`` being that of the speech; seconds if known."""

    utt_id: str
    wav: Path
    speaker: str
    texts: dict[str, str]
    seconds: float | None = None


@dataclass
class Dropped:
    """What was left out: a line each in a file, a count for each reason."""

    stream: TextIO
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, what: str, reason: str) -> None:
        self.counts[reason] += 1
        self.stream.write(f"{what} {reason}\n")


class DataDirWriter:
    """Writes a Kaldi data dir, whose files get their names only when the block ends well.

    Entries must come in the order of their ids, and speakers too, as Kaldi asks.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.utterances = 0
        self.speakers = 0
        self.seconds = 0.0

    def __enter__(self) -> DataDirWriter:
        self._stack = ExitStack()
        self._streams: dict[str, TextIO] = {}
        self._previous = ("", "")
        self.dropped = Dropped(self._open("dropped.txt"))
        return self

    def add(self, entry: Entry) -> None:
        """Append an utterance. Raises EntcompError if it is out of order."""
        utt_id, speaker = self._previous
        if entry.utt_id <= utt_id or entry.speaker < speaker:
            raise EntcompError(
                f"{self.folder}: {entry.utt_id} after {utt_id}: not in Kaldi's order"
            )
        self._write("wav.scp", f"{entry.utt_id} {entry.wav}\n")
        self._write("utt2spk", f"{entry.utt_id} {entry.speaker}\n")
        for language, text in entry.texts.items():
            self._write(f"text.{language}" if language else "text", f"{entry.utt_id} {text}\n")
        if entry.seconds is not None:
            self._write("utt2dur", f"{entry.utt_id} {entry.seconds:.3f}\n")
            self.seconds += entry.seconds
        if entry.speaker != speaker:
            self.speakers += 1
            self._write("spk2utt", ("\n" if speaker else "") + entry.speaker)
        self._write("spk2utt", f" {entry.utt_id}")
        self._previous = (entry.utt_id, entry.speaker)
        self.utterances += 1

    @property
    def summary(self) -> dict[str, Any]:
        return {
            "utterances": self.utterances,
            "speakers": self.speakers,
            "hours": round(self.seconds / 3600, 3),
            "dropped": dict(sorted(self.dropped.counts.items())),
        }

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self._write("spk2utt", "\n")
        # Closes each stream, then gives its file the final name or, after an error, deletes it.
        self._stack.__exit__(kind, error, trace)

    def _write(self, name: str, text: str) -> None:
        (self._streams.get(name) or self._open(name)).write(text)

    def _open(self, name: str) -> TextIO:
        temporary = self._stack.enter_context(atomic_path(self.folder / name))
        stream = self._stack.enter_context(open(temporary, "w", encoding="utf-8"))
        self._streams[name] = stream
        return stream


def prepare(
    folder: Path, inputs: dict[str, Any], entries: Callable[[Dropped], Iterable[Entry]]
) -> None:
    """Write ``folder`` from ``entries`` unless it is whole, and print what became of them."""
    stage = Stage(folder, inputs)
    if stage.is_complete():
        print(f"{folder.name}: complete, skipped")
        return
    stage.start()
    with DataDirWriter(folder) as writer:
        for entry in track(entries(writer.dropped), f"{folder.name}: preparing"):
            writer.add(entry)
        if not writer.utterances:
            raise EntcompError(f"{folder}: no utterance is left ({dict(writer.dropped.counts)})")
    stage.finish(writer.summary)
    hours = f", {writer.seconds / 3600:.2f} h" if writer.seconds else ""
    print(f"{folder.name}: {writer.utterances} utterances, {writer.speakers} speakers{hours}")
    for reason, count in writer.dropped.counts.most_common():
        print(f"{folder.name}: {count} dropped: {reason}")


def existing(path: Path) -> Path:
    """``path`` itself. Raises EntcompError if there is no such file or folder."""
    if not path.exists():
        raise EntcompError(f"{path}: no such file; check db.sh")
    return path


def read_lines(path: Path, dropped: Dropped) -> Iterator[tuple[str, str]]:
    """Yield ``(file:number, line)``; only a newline ends a line, and blank ones are passed over."""
    with open(existing(path), "rb") as stream:
        for number, line in enumerate(stream, start=1):
            where = f"{path.name}:{number}"
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
            except UnicodeDecodeError:
                dropped.add(where, "not UTF-8")
                continue
            if text.strip():
                yield where, text


def read_tsv(path: Path, columns: Sequence[str], dropped: Dropped) -> Iterator[list[str]]:
    """The named columns of a tab-separated file with a header, nothing being a quote in it."""
    lines = read_lines(path, dropped)
    header = next(lines, ("", ""))[1].split("\t")
    missing = [name for name in columns if name not in header]
    if missing:
        raise EntcompError(f"{path}: no column '{missing[0]}'; available: {', '.join(header)}")
    positions = [header.index(name) for name in columns]
    for where, line in lines:
        fields = line.split("\t")
        if len(fields) == len(header):
            yield [fields[position] for position in positions]
        else:
            dropped.add(where, "broken line")


def sort_rows(rows: Iterable[Row]) -> Iterator[list[str]]:
    """Rows in the order of their first field's bytes, then of the next ones'."""
    command = ["sort", f"--buffer-size={SORT_MEMORY}"]
    environment = os.environ | {"LC_ALL": "C"}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        for row in rows:
            process.stdin.write(("\t".join(row) + "\n").encode())
        process.stdin.close()
        for line in process.stdout:
            yield line.decode().rstrip("\n").split("\t")
    if process.returncode:
        raise EntcompError(f"sort exited with {process.returncode}; is TMPDIR full?")


def unique(rows: Iterable[list[str]], dropped: Dropped) -> Iterator[list[str]]:
    """Sorted rows less those whose first field was there before."""
    previous = None
    for row in rows:
        if row[0] == previous:
            dropped.add(row[0], "duplicate id")
        else:
            yield row
        previous = row[0]


def english(text: str) -> str:
    """English as all sets of this recipe have it: lower case, no punctuation but apostrophes."""
    return normalize(text, "basic")


def translation(text: str) -> str:
    """A translation as it was published, but for Unicode's composition and white space."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def run(main: Callable[[], None]) -> None:
    """Call a script's main; a user's mistake ends in one line and exit code 1."""
    try:
        main()
    except EntcompError as error:
        sys.exit(f"{Path(sys.argv[0]).name}: error: {error}")
