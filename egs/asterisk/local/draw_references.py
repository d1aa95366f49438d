#!/usr/bin/env python3
"""A voice for each utterance of a set: `utterance wav` lines, other speakers taking turns.

Each speaker is heard in one recording, the longest of its set up to a number of seconds.
"""

from __future__ import annotations

import argparse
import sys
from itertools import cycle
from pathlib import Path

from entcomp.errors import EntcompError
from entcomp.kaldi.table import read_table, write_table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("set", type=Path, help="the data dir whose utterances are to be converted")
    parser.add_argument("voices", type=Path, nargs="+", help="data dirs, each of one speaker")
    parser.add_argument("table", type=Path, help="file to write")
    parser.add_argument("--seconds", type=float, default=8.0, help="longest reference")
    arguments = parser.parse_args()
    voices = cycle([reference(voice, arguments.seconds) for voice in arguments.voices])
    table = dict(zip(read_table(arguments.set / "wav.scp"), voices, strict=False))
    write_table(arguments.table, table.items())
    print(f"{arguments.table}: {len(table)} utterances, {len(arguments.voices)} voices")


def reference(voice: Path, longest: float) -> str:
    """Path of the recording that a speaker is heard in."""
    wavs = read_table(voice / "wav.scp")
    durations = read_table(voice / "utt2dur")
    seconds = {utt_id: float(durations[utt_id]) for utt_id in wavs}
    fitting = [utt_id for utt_id in wavs if seconds[utt_id] <= longest]
    if not fitting:
        raise EntcompError(f"{voice}: no recording of up to {longest:g} s; raise --seconds")
    return wavs[max(fitting, key=lambda utt_id: seconds[utt_id])]


if __name__ == "__main__":
    try:
        main()
    except EntcompError as error:
        sys.exit(f"draw_references.py: error: {error}")
