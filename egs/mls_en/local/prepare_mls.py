#!/usr/bin/env python3
"""One split of Multilingual LibriSpeech (mls_english or mls_english_opus) to a Kaldi data dir.

Of the training split a subset can be taken: what `limited_supervision/` lists (9hr; 1hr, its six
lists of ten minutes together; 10hr, both), or N hours drawn by a seed. Readers of LibriSpeech's
test set can be left out: both corpora name readers by their numbers at LibriVox.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import corpus
from corpus import Dropped, Entry

from entcomp.errors import EntcompError
from entcomp.files import sha256_file
from entcomp.kaldi.table import join

HANDLE = re.compile(r"(\d+)_(\d+)_(\d+)")
# Readers have one to five digits; so padded, ids and readers sort alike, as Kaldi asks.
READER_DIGITS = 6
SUBSETS = {
    "9hr": ["9hr/handles.txt"],
    "1hr": ["1hr/*/handles.txt"],
    "10hr": ["9hr/handles.txt", "1hr/*/handles.txt"],
}


def main() -> None:
    arguments = parse_arguments()
    split = arguments.mls / arguments.split
    readers = excluded_readers(arguments.exclude_readers)
    handles = subset_handles(split, arguments.subset)

    def entries(dropped: Dropped) -> Iterator[Entry]:
        chosen = candidates(split, handles, readers, dropped)
        if arguments.hours:
            chosen = draw(chosen, arguments.hours, arguments.seed)
        for utt_id, audio, seconds, text in chosen:
            reader = utt_id.partition("_")[0]
            yield Entry(utt_id, Path(audio), reader, {"": text}, float(seconds))

    inputs = {
        "audio": str(split.resolve()),
        "transcripts": sha256_file(corpus.existing(split / "transcripts.txt")),
        "segments": sha256_file(corpus.existing(split / "segments.txt")),
        "subset": arguments.subset,
        "hours": arguments.hours,
        "seed": arguments.seed,
        "excluded_readers": sorted(readers),
    }
    corpus.prepare(arguments.set, inputs, entries)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mls", type=Path, help="folder that holds train/, dev/ and test/")
    parser.add_argument("set", type=Path, help="data dir to write, such as data/train_mls")
    parser.add_argument("--split", default="train", choices=["train", "dev", "test"])
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--subset", default="all", choices=["all", *SUBSETS])
    which.add_argument("--hours", type=float, default=0.0, help="draw about so much; 0: all")
    parser.add_argument("--seed", type=int, default=0, help="seed of --hours")
    parser.add_argument(
        "--exclude-readers",
        type=Path,
        nargs="*",
        default=[],
        metavar="DIR",
        help="parts of LibriSpeech, such as LibriSpeech/test-clean",
    )
    return parser.parse_args()


def excluded_readers(parts: Iterable[Path]) -> set[str]:
    """Numbers of the readers in parts of LibriSpeech, whose folders are named so."""
    readers = set()
    for part in parts:
        found = {path.name for path in corpus.existing(part).iterdir() if path.name.isdigit()}
        if not found:
            raise EntcompError(f"{part}: no reader's folder in it; check LIBRISPEECH in db.sh")
        readers |= found
    return readers


def subset_handles(split: Path, subset: str) -> set[str] | None:
    """Ids that ``limited_supervision/`` lists (some thousands); None for all of the split."""
    if subset == "all":
        return None
    folder = split / "limited_supervision"
    handles: set[str] = set()
    for pattern in SUBSETS[subset]:
        lists = sorted(folder.glob(pattern))
        if not lists:
            raise EntcompError(f"{folder}/{pattern}: no such list; use --hours")
        for path in lists:
            handles |= set(path.read_text(encoding="utf-8").split())
    return handles


def candidates(
    split: Path, handles: set[str] | None, readers: set[str], dropped: Dropped
) -> Iterator[list[str]]:
    """``[utt_id, audio, seconds, text]`` of all utterances that may be used, sorted."""
    texts = read_keyed(split / "transcripts.txt", 2, handles, dropped)
    times = read_keyed(split / "segments.txt", 4, handles, dropped)
    folder, names = Path(), set[str]()
    for (utt_id, handle, transcript), segment in join(texts, times):
        reader, book, _ = handle.split("_")
        if folder != split / "audio" / reader / book:
            folder = split / "audio" / reader / book
            names = set(os.listdir(folder)) if folder.is_dir() else set()
        audio = next((name for name in (f"{handle}.flac", f"{handle}.opus") if name in names), None)
        text = corpus.english(transcript)
        seconds = duration(segment)
        if reader in readers:
            dropped.add(handle, "its reader is in the test set")
        elif audio is None:
            dropped.add(handle, "no audio")
        elif seconds is None:
            dropped.add(handle, "no times in segments.txt")
        elif not text:
            dropped.add(handle, "empty transcript")
        else:
            yield [utt_id, str(folder / audio), seconds, text]


def read_keyed(
    path: Path, columns: int, handles: set[str] | None, dropped: Dropped
) -> Iterator[list[str]]:
    """``[utt_id, handle, ...]`` of lines of ``handle <tab> ...``, sorted, each once."""

    def rows() -> Iterator[list[str]]:
        for where, line in corpus.read_lines(path, dropped):
            fields = line.split("\t")
            if len(fields) != columns or not HANDLE.fullmatch(fields[0]):
                dropped.add(where, "broken line")
            elif handles is None or fields[0] in handles:
                yield [pad_reader(fields[0]), *fields]

    return corpus.unique(corpus.sort_rows(rows()), dropped)


def pad_reader(handle: str) -> str:
    reader, _, rest = handle.partition("_")
    return f"{reader.zfill(READER_DIGITS)}_{rest}"


def duration(segment: list[str] | None) -> str | None:
    """Seconds between the two times of a line of segments.txt."""
    try:
        seconds = float(segment[4]) - float(segment[3]) if segment else 0.0
    except ValueError:
        return None
    return f"{seconds:.3f}" if seconds > 0 else None


def draw(rows: Iterable[list[str]], hours: float, seed: int) -> Iterator[list[str]]:
    """A sample of ``hours``: utterances in the order of a hash, until there are enough."""

    def keyed() -> Iterator[list[str]]:
        for row in rows:
            yield [hashlib.sha256(f"{seed} {row[0]}".encode()).hexdigest()[:16], *row]

    def first() -> Iterator[list[str]]:
        left = hours * 3600
        for _, *row in corpus.sort_rows(keyed()):
            if left <= 0:
                break
            left -= float(row[2])
            yield row

    return corpus.sort_rows(first())


if __name__ == "__main__":
    corpus.run(main)
