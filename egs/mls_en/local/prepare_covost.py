#!/usr/bin/env python3
"""One split of CoVoST 2, from English, to a Kaldi data dir: Common Voice clips and translations."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

import corpus
from corpus import Dropped, Entry

from entcomp.files import sha256_file
from entcomp.kaldi.table import join

# So much of a Common Voice client's 128 hexadecimal digits tells speakers apart.
SPEAKER_DIGITS = 16
# CoVoST's own training split is larger than Common Voice's.
SPLITS = {"train": {"train", "train_covost"}, "dev": {"dev"}, "test": {"test"}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("covost", type=Path, help="such as covost_v2.en_zh-CN.tsv")
    parser.add_argument("common_voice", type=Path, help="folder en/, with validated.tsv and clips/")
    parser.add_argument("set", type=Path, help="data dir to write, such as data/train_covost_zh")
    parser.add_argument("--split", default="train", choices=list(SPLITS))
    parser.add_argument("--lang", required=True, help="language of the translation, such as zh")
    arguments = parser.parse_args()
    clips = arguments.common_voice / "validated.tsv"

    def entries(dropped: Dropped) -> Iterator[Entry]:
        pairs = paired(arguments.covost, clips, SPLITS[arguments.split], dropped)
        for utt_id, clip, sentence, target in corpus.sort_rows(pairs):
            audio = arguments.common_voice / "clips" / clip
            translated = corpus.translation(unescape(target))
            texts = {"": corpus.english(sentence), arguments.lang: translated}
            if not audio.exists():
                dropped.add(clip, "no audio")
            elif not all(texts.values()):
                dropped.add(clip, "empty text")
            else:
                yield Entry(utt_id, audio, utt_id.partition("-")[0], texts)

    inputs = {
        "audio": str(arguments.common_voice.resolve()),
        "translations": sha256_file(corpus.existing(arguments.covost)),
        "clips": sha256_file(corpus.existing(clips)),
        "split": arguments.split,
        "lang": arguments.lang,
    }
    corpus.prepare(arguments.set, inputs, entries)


def paired(
    covost: Path, clips: Path, splits: set[str], dropped: Dropped
) -> Iterator[tuple[str, str, str, str]]:
    """``(utt_id, clip, sentence, translation)`` of every clip of the split, by clip."""
    translations = (
        [clip, target]
        for clip, target, split in corpus.read_tsv(
            covost, ["path", "translation", "split"], dropped
        )
        if split in splits
    )
    spoken = corpus.read_tsv(clips, ["path", "sentence", "client_id"], dropped)
    left = corpus.unique(corpus.sort_rows(translations), dropped)
    right = corpus.unique(corpus.sort_rows(spoken), dropped)
    for (clip, target), row in join(left, right):
        if row is None:
            dropped.add(clip, "no sentence in Common Voice")
            continue
        _, sentence, client = row
        yield f"{client[:SPEAKER_DIGITS]}-{Path(clip).stem}", clip, sentence, target


def unescape(text: str) -> str:
    """CoVoST was written without quoting, a backslash before each quote in the text."""
    return re.sub(r"\\(.)", r"\1", text)


if __name__ == "__main__":
    corpus.run(main)
