#!/usr/bin/env python3
"""Data dirs of speechocean762 (OpenSLR 101): train, dev and test, by speaker.

    local/prepare_data.py CORPUS_SET DATA [--test-speakers 15] [--dev-speakers 10]

CORPUS_SET is the corpus's train folder, with wav.scp, text and utt2spk. Its own test set keeps
unseen speakers too, but is not needed here: the speakers of one folder are dealt out by the hash
of their name, so that the split depends neither on their order nor on their number.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

from entcomp.errors import EntcompError
from entcomp.kaldi.table import read_table, write_table


def split_speakers(speakers: set[str], test: int, dev: int) -> dict[str, str]:
    """Speaker to set: the first hashes are the test set, the next ones dev."""
    if test + dev >= len(speakers):
        raise EntcompError(f"{len(speakers)} speakers are too few for {test} test and {dev} dev")
    order = sorted(speakers, key=lambda one: hashlib.sha256(one.encode()).hexdigest())
    names = ["test"] * test + ["dev"] * dev + ["train"] * (len(order) - test - dev)
    return dict(zip(order, names, strict=True))


def find_recording(corpus: Path, entry: str) -> str:
    """Paths of wav.scp are relative to the set's folder, or to the one above (OpenSLR's)."""
    for folder in (corpus, corpus.parent):
        if (folder / entry).exists():
            return str(folder / entry)
    raise EntcompError(f"{corpus / 'wav.scp'}: {entry}: no such file; unpack the whole corpus")


def prepare(corpus: Path, data: Path, test: int, dev: int) -> None:
    """Write the three data dirs and print what is in them."""
    utt2spk = read_table(corpus / "utt2spk")
    recordings = read_table(corpus / "wav.scp")
    text = read_table(corpus / "text")
    sets = split_speakers(set(utt2spk.values()), test, dev)
    for name in ("train", "dev", "test"):
        chosen = {utt: speaker for utt, speaker in utt2spk.items() if sets[speaker] == name}
        # Kaldi wants the speaker in front of the id; the corpus has it 5 digits in, zero-filled.
        ids = {utt: f"{speaker}_{utt}" for utt, speaker in chosen.items()}
        folder = data / name
        scp = [(ids[utt], find_recording(corpus, recordings[utt])) for utt in chosen]
        write_table(folder / "wav.scp", scp)
        write_table(folder / "text", [(ids[utt], text[utt].lower()) for utt in chosen])
        write_table(folder / "utt2spk", [(ids[utt], speaker) for utt, speaker in chosen.items()])
        print(f"{folder}: {len(chosen)} utterances of {len(set(chosen.values()))} speakers")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Data dirs of speechocean762.")
    parser.add_argument("corpus", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--test-speakers", type=int, default=15)
    parser.add_argument("--dev-speakers", type=int, default=10)
    options = parser.parse_args()
    try:
        prepare(options.corpus, options.data, options.test_speakers, options.dev_speakers)
    except EntcompError as error:
        raise SystemExit(f"prepare_data.py: error: {error}") from None
