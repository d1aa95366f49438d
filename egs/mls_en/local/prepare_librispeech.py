#!/usr/bin/env python3
"""One part of LibriSpeech, such as test-clean, to a Kaldi data dir."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

import corpus
from corpus import Dropped, Entry

from entcomp.errors import EntcompError
from entcomp.files import sha256_file

UTT_ID = re.compile(r"\d+-\d+-\d+")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", type=Path, help="such as LibriSpeech/test-clean")
    parser.add_argument("set", type=Path, help="data dir to write, such as data/test_clean")
    arguments = parser.parse_args()
    lists = sorted(arguments.part.glob("*/*/*.trans.txt"), key=lambda path: path.name)
    if not lists:
        raise EntcompError(f"{arguments.part}: no *.trans.txt in it; check LIBRISPEECH in db.sh")
    inputs = {
        "audio": str(arguments.part.resolve()),
        "transcripts": {path.name: sha256_file(path) for path in lists},
    }
    corpus.prepare(arguments.set, inputs, lambda dropped: entries(lists, dropped))


def entries(lists: list[Path], dropped: Dropped) -> Iterator[Entry]:
    """Utterances by id: a hyphen sorts before the digits, so that readers are in order too."""
    for path in lists:
        rows = corpus.sort_rows(read_transcripts(path, dropped))
        for utt_id, transcript in corpus.unique(rows, dropped):
            audio = path.with_name(f"{utt_id}.flac")
            text = corpus.english(transcript)
            if not audio.exists():
                dropped.add(utt_id, "no audio")
            elif not text:
                dropped.add(utt_id, "empty transcript")
            elif (seconds := duration(audio)) is None:
                dropped.add(utt_id, "unreadable audio")
            else:
                yield Entry(utt_id, audio, utt_id.partition("-")[0], {"": text}, seconds)


def read_transcripts(path: Path, dropped: Dropped) -> Iterator[tuple[str, str]]:
    """``(utt_id, words)`` of a chapter."""
    for where, line in corpus.read_lines(path, dropped):
        utt_id, _, words = line.partition(" ")
        if UTT_ID.fullmatch(utt_id) and utt_id.startswith(path.name.partition(".")[0]):
            yield utt_id, words
        else:
            dropped.add(where, "broken line")


def duration(audio: Path) -> float | None:
    """Seconds, by the header; None where it can't be read."""
    import soundfile

    try:
        return soundfile.info(audio).duration
    except (soundfile.SoundFileError, OSError):
        return None


if __name__ == "__main__":
    corpus.run(main)
