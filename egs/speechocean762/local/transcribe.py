#!/usr/bin/env python3
"""What Moonshine hears in a data dir, as its text: words for an aligner, where there are no others.

local/transcribe.py DATA/SET
"""

from __future__ import annotations

import argparse
from pathlib import Path

from entcomp.audio.read import read_wav
from entcomp.errors import EntcompError
from entcomp.evaluation.voices.moonshine_asr import SAMPLE_RATE, MoonshineAsr
from entcomp.kaldi.table import read_table, write_table
from entcomp.progress import track
from entcomp.units.extractors.moonshine import find_encoder


def transcribe(data_set: Path) -> None:
    recogniser = MoonshineAsr(find_encoder().parent)
    recordings = read_table(data_set / "wav.scp")
    texts = [
        (utt_id, recogniser.transcribe(read_wav(Path(path), SAMPLE_RATE)))
        for utt_id, path in track(recordings.items(), "transcribe", total=len(recordings))
    ]
    write_table(data_set / "text", texts)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="What Moonshine hears in a data dir, as its text.")
    parser.add_argument("data_set", type=Path)
    try:
        transcribe(parser.parse_args().data_set)
    except EntcompError as error:
        raise SystemExit(f"transcribe.py: error: {error}") from None
