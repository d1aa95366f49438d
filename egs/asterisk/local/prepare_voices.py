#!/usr/bin/env python3
"""More voices for train-vc: a data dir with each recording of another one in two utterances.

An example of train-vc is an utterance behind another one of its speaker. Corpora of many voices
often have a single recording of each; its halves are two utterances, cut where its middle third is
quietest.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from entcomp.audio.read import read_utterance
from entcomp.audio.silence import quietest
from entcomp.errors import EntcompError
from entcomp.kaldi.datadir import DataDir, Utterance
from entcomp.kaldi.table import read_table, write_table
from entcomp.progress import track

SAMPLE_RATE = 16_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, help="a data dir with wav.scp and utt2spk")
    parser.add_argument("out", type=Path, help="the data dir to write")
    arguments = parser.parse_args()
    source = arguments.source
    speakers = read_table(source / "utt2spk")
    wavs, segments, utt2spk = {}, {}, {}
    for one in track(list(DataDir(source.name, source).utterances()), f"halving {source}"):
        if one.utt_id not in speakers:
            raise EntcompError(f"{source / 'utt2spk'}: {one.utt_id} is not here; add its speaker")
        wavs[one.utt_id] = str(Path(one.wav).resolve())
        for half, (start, end) in zip("ab", halves(one), strict=True):
            segments[f"{one.utt_id}-{half}"] = f"{one.utt_id} {start:.3f} {end:.3f}"
            utt2spk[f"{one.utt_id}-{half}"] = speakers[one.utt_id]
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name, table in (("wav.scp", wavs), ("segments", segments), ("utt2spk", utt2spk)):
        write_table(arguments.out / name, sorted(table.items()))
    print(f"{arguments.out}: {len(segments)} utterances of {len(set(speakers.values()))} speakers")


def halves(one: Utterance) -> tuple[tuple[float, float], tuple[float, float]]:
    """Start and end of each, in seconds."""
    waveform = read_utterance(one, SAMPLE_RATE)
    third = len(waveform) // 3
    cut = third + quietest(waveform[third : 2 * third], SAMPLE_RATE)
    return (0.0, cut / SAMPLE_RATE), (cut / SAMPLE_RATE, len(waveform) / SAMPLE_RATE)


if __name__ == "__main__":
    try:
        main()
    except EntcompError as error:
        sys.exit(f"prepare_voices.py: error: {error}")
