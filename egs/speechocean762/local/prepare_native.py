#!/usr/bin/env python3
"""Data dirs of native speech without texts, for the codebook and the LMs.

    local/prepare_native.py [--native DIR [--held-back 25]] [--more DIR] DATA

DIR holds Kaldi's wav.scp, whose paths may be relative to it, and utt2spk. Of --native, speakers are
held back by the hash of their name: dev_native, test_native; the others are train_native. All of
--more is train_more: so it is taken where nobody knows who speaks.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from prepare_data import find_recording, split_speakers

from entcomp.errors import EntcompError
from entcomp.kaldi.table import read_table, write_table


def prepare(source: Path, data: Path, sets: dict[str, str]) -> None:
    """Write a data dir for each set that ``sets`` names for a speaker, and print what is in it."""
    speakers = read_table(source / "utt2spk")
    recordings = read_table(source / "wav.scp")
    for name in sorted(set(sets.values())):
        # Kaldi wants the speaker in front of the id.
        ids = {
            utt: utt if utt.startswith(speaker) else f"{speaker}-{utt}"
            for utt, speaker in speakers.items()
            if sets[speaker] == name
        }
        scp = [(ids[utt], find_recording(source, recordings[utt])) for utt in ids]
        write_table(data / name / "wav.scp", scp)
        write_table(data / name / "utt2spk", [(ids[utt], speakers[utt]) for utt in ids])
        count = len({speakers[utt] for utt in ids})
        print(f"{data / name}: {len(ids)} utterances of {count} speakers")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Data dirs of native speech without texts.")
    parser.add_argument("--native", type=Path)
    parser.add_argument("--held-back", type=int, default=25, help="speakers, for dev and for test")
    parser.add_argument("--more", type=Path)
    parser.add_argument("data", type=Path)
    options = parser.parse_args()
    try:
        if options.native:
            known = set(read_table(options.native / "utt2spk").values())
            split = split_speakers(known, options.held_back, options.held_back)
            chosen = {speaker: f"{name}_native" for speaker, name in split.items()}
            prepare(options.native, options.data, chosen)
        if options.more:
            known = set(read_table(options.more / "utt2spk").values())
            prepare(options.more, options.data, dict.fromkeys(known, "train_more"))
    except EntcompError as error:
        raise SystemExit(f"prepare_native.py: error: {error}") from None
