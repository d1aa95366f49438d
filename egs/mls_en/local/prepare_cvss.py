#!/usr/bin/env python3
"""One split of CVSS-C, reversed, to a Kaldi data dir: English speech to another language's text.

CVSS-C translates Common Voice into spoken English. Reversed, its English recordings
(`<split>/<clip>.mp3.wav`, one voice) are the source, and the sentences that the Common Voice
speakers read (`validated.tsv` of Common Voice 4.0) are the translations.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import corpus
from corpus import Dropped, Entry

from entcomp.files import sha256_file
from entcomp.kaldi.table import join

SPEAKER = "cvss"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cvss", type=Path, help="a language's archive, such as cvss_c_fr_en_v1.0")
    parser.add_argument("common_voice", type=Path, help="its Common Voice, with validated.tsv")
    parser.add_argument("set", type=Path, help="data dir to write, such as data/train_cvss_fr")
    parser.add_argument("--split", default="train", choices=["train", "dev", "test"])
    parser.add_argument("--lang", required=True, help="language of the translation, such as fr")
    arguments = parser.parse_args()
    spoken = arguments.cvss / f"{arguments.split}.tsv"
    written = arguments.common_voice / "validated.tsv"
    audio = arguments.cvss / arguments.split

    def entries(dropped: Dropped) -> Iterator[Entry]:
        sentences = corpus.sort_rows(corpus.read_tsv(written, ["path", "sentence"], dropped))
        clips = corpus.unique(corpus.sort_rows(read_clips(spoken, dropped)), dropped)
        for (clip, text), row in join(clips, corpus.unique(sentences, dropped)):
            entry = pair(clip, text, row, audio, arguments.lang, dropped)
            if entry is not None:
                yield entry

    inputs = {
        "audio": str(audio.resolve()),
        "spoken": sha256_file(corpus.existing(spoken)),
        "written": sha256_file(corpus.existing(written)),
        "lang": arguments.lang,
    }
    corpus.prepare(arguments.set, inputs, entries)


def read_clips(path: Path, dropped: Dropped) -> Iterator[list[str]]:
    """``[clip, English text]`` of a split; the file has two columns and no header."""
    for where, line in corpus.read_lines(path, dropped):
        fields = line.split("\t")
        if len(fields) == 2 and fields[0].endswith(".mp3"):
            yield fields
        else:
            dropped.add(where, "broken line")


def pair(
    clip: str, text: str, row: list[str] | None, audio: Path, language: str, dropped: Dropped
) -> Entry | None:
    """The utterance of a clip; None, and a reason noted, where a part of it is missing."""
    wav = audio / f"{clip}.wav"
    texts = {"": corpus.english(text), language: corpus.translation(row[1]) if row else ""}
    if not wav.exists():
        dropped.add(clip, "no audio")
    elif row is None:
        dropped.add(clip, "no sentence in Common Voice")
    elif not all(texts.values()):
        dropped.add(clip, "empty text")
    else:
        return Entry(f"{SPEAKER}_{clip.removesuffix('.mp3')}", wav, SPEAKER, texts)
    return None


if __name__ == "__main__":
    corpus.run(main)
