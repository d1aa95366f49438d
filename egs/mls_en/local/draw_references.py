#!/usr/bin/env python3
"""For each utterance of a set another reader's recording, drawn by a seed: `utterance wav` lines.

They are the voices that `entcomp convert --reference` is to speak with.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import corpus

from entcomp.errors import EntcompError
from entcomp.kaldi.table import read_table, write_table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("set", type=Path, help="a small data dir, such as data/test_clean")
    parser.add_argument("table", type=Path, help="file to write")
    parser.add_argument("--seconds", type=float, default=3.0, help="shortest reference")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    wavs, speakers, seconds = (
        read_table(arguments.set / name) for name in ("wav.scp", "utt2spk", "utt2dur")
    )
    long = [utt_id for utt_id in wavs if float(seconds[utt_id]) >= arguments.seconds]
    references = {}
    for utt_id in wavs:
        others = [one for one in long if speakers[one] != speakers[utt_id]]
        if not others:
            raise EntcompError(
                f"{arguments.set}: no other reader's utterance of {arguments.seconds:g} s for "
                f"{utt_id}; lower --seconds"
            )
        references[utt_id] = wavs[random.Random(f"{arguments.seed} {utt_id}").choice(others)]
    write_table(arguments.table, references.items())
    print(f"{arguments.table}: {len(references)} utterances, {len(long)} recordings to draw from")


if __name__ == "__main__":
    corpus.run(main)
