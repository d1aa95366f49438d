"""Recordings and data dirs made on the spot."""

from __future__ import annotations

from pathlib import Path

import soundfile
from babbling import RATE, babble


def write_set(folder: Path, seconds: dict[str, float]) -> Path:
    """A data dir with one wav for each id; returns ``folder``."""
    folder.mkdir(parents=True)
    for number, (utt_id, length) in enumerate(sorted(seconds.items())):
        soundfile.write(folder / f"{utt_id}.wav", babble(length, number), RATE)
    write_scp(folder, {utt_id: f"{utt_id}.wav" for utt_id in seconds})
    return folder


def write_scp(folder: Path, rows: dict[str, str]) -> None:
    lines = (f"{utt_id} {entry}\n" for utt_id, entry in sorted(rows.items()))
    (folder / "wav.scp").write_text("".join(lines))
