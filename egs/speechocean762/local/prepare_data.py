#!/usr/bin/env python3
"""Data dirs of speechocean762 (OpenSLR 101): train, dev and test, by speaker.

    local/prepare_data.py CORPUS_SET DATA [--test-speakers 15] [--dev-speakers 10]

CORPUS_SET is the corpus's train folder, with wav.scp, text, utt2spk and spk2age. Its own test set
keeps unseen speakers too, but is not needed here: the speakers of one folder are dealt out by the
hash of their name, so that the split depends neither on their order nor on their number.

``test_vc`` is for voice conversion: the longest sentences of the test set's adults, and, in
``references.scp``, another of them for each to be spoken by. Short ones tell too little of a voice.
"""

from __future__ import annotations

import argparse
import hashlib
from itertools import cycle
from pathlib import Path

from entcomp.errors import EntcompError
from entcomp.kaldi.table import read_table, write_table

ADULT = 18  # years


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


def read_ages(path: Path) -> dict[str, int]:
    """Years by speaker. The corpus's table is not sorted."""
    if not path.exists():
        raise EntcompError(f"{path}: no such file; unpack the whole corpus")
    rows = (line.split() for line in path.read_text(encoding="utf-8").splitlines())
    return {speaker: int(age) for speaker, age in rows}


def prepare_conversion(corpus: Path, data: Path, each: int) -> None:
    """Write ``test_vc``: ``each`` sentences of every adult of the test set, and their references.

    An adult is heard in the longest sentence that is left, by the others in turn.
    """
    tables = {name: read_table(data / "test" / name) for name in ("wav.scp", "text", "utt2spk")}
    ages = read_ages(corpus / "spk2age")
    adults: dict[str, list[str]] = {}
    for utt_id, speaker in tables["utt2spk"].items():
        if ages[speaker] >= ADULT:
            adults.setdefault(speaker, []).append(utt_id)
    if len(adults) < 2 or any(len(own) <= each for own in adults.values()):
        raise EntcompError(
            f"{data / 'test'}: voice conversion wants two adults of {each + 1} sentences; "
            f"raise --test-speakers, or lower --vc-sentences"
        )
    longest = {
        speaker: sorted(own, key=lambda utt_id: (-len(tables["text"][utt_id]), utt_id))
        for speaker, own in adults.items()
    }
    references = []
    for speaker, own in longest.items():
        voices = cycle(other[each] for name, other in longest.items() if name != speaker)
        pairs = zip(own[:each], voices, strict=False)
        references += [(utt_id, tables["wav.scp"][voice]) for utt_id, voice in pairs]
    folder = data / "test_vc"
    for name, table in tables.items():
        write_table(folder / name, [(utt_id, table[utt_id]) for utt_id, _ in references])
    write_table(folder / "references.scp", references)
    print(f"{folder}: {len(references)} utterances of {len(adults)} adults")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Data dirs of speechocean762.")
    parser.add_argument("corpus", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--test-speakers", type=int, default=15)
    parser.add_argument("--dev-speakers", type=int, default=10)
    parser.add_argument("--vc-sentences", type=int, default=12, help="of each adult")
    options = parser.parse_args()
    try:
        prepare(options.corpus, options.data, options.test_speakers, options.dev_speakers)
        prepare_conversion(options.corpus, options.data, options.vc_sentences)
    except EntcompError as error:
        raise SystemExit(f"prepare_data.py: error: {error}") from None
