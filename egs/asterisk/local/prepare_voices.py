#!/usr/bin/env python3
"""More voices for train-vc: a data dir with each recording of another one in two utterances.

An example of train-vc is an utterance behind another one of its speaker. Corpora of many voices
often have a single recording of each; its halves are two utterances, cut where its middle third is
quietest.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from pathlib import Path

from entcomp.artifacts.stage import Stage
from entcomp.audio.read import read_utterance
from entcomp.audio.silence import quietest
from entcomp.errors import EntcompError
from entcomp.files import sha256_file
from entcomp.kaldi.datadir import DataDir, Utterance
from entcomp.kaldi.table import read_table, write_table
from entcomp.progress import track

SAMPLE_RATE = 16_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, help="a data dir with wav.scp and utt2spk")
    parser.add_argument("out", type=Path, help="the data dir to write")
    arguments = parser.parse_args()
    prepare(DataDir(arguments.source.name, arguments.source), arguments.out)


def prepare(source: DataDir, out: Path) -> None:
    """Write ``out``, unless it is complete. Raises EntcompError for who has no speaker."""
    utt2spk = source.path / "utt2spk"
    inputs = {"audio_sha256": source.audio_sha256(), "utt2spk_sha256": sha256_file(utt2spk)}
    stage = Stage(out, inputs)
    if stage.is_complete():
        print(f"{out}: complete, skipped")
        return
    speakers, tables = read_table(utt2spk), defaultdict(dict)
    for one in track(list(source.utterances()), f"halving {source.path}"):
        if one.utt_id not in speakers:
            raise EntcompError(f"{utt2spk}: {one.utt_id} is not here; add its speaker")
        tables["wav.scp"][one.utt_id] = str(Path(one.wav).resolve())
        for half, times in zip("ab", halves(one), strict=True):
            tables["segments"][f"{one.utt_id}-{half}"] = f"{one.utt_id} {times}"
            tables["utt2spk"][f"{one.utt_id}-{half}"] = speakers[one.utt_id]
    stage.start()
    for name, table in tables.items():
        write_table(out / name, sorted(table.items()))
    stage.finish({"utterances": len(tables["utt2spk"])})
    voices = len(set(tables["utt2spk"].values()))
    print(f"{out}: {len(tables['utt2spk'])} utterances of {voices} speakers")


def halves(one: Utterance) -> tuple[str, str]:
    """Start and end of each in its recording, as ``segments`` has them."""
    waveform = read_utterance(one, SAMPLE_RATE)
    third = len(waveform) // 3
    start, end = one.start or 0.0, -1 if one.end is None else one.end
    cut = start + (third + quietest(waveform[third : 2 * third], SAMPLE_RATE)) / SAMPLE_RATE
    return f"{start:g} {cut:.4f}", f"{cut:.4f} {end:g}"


if __name__ == "__main__":
    try:
        main()
    except EntcompError as error:
        sys.exit(f"prepare_voices.py: error: {error}")
