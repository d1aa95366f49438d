"""egs/asterisk/local/prepare_voices.py: halves of recordings, for speakers who have only one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from entcomp.audio.read import read_utterance
from entcomp.kaldi.datadir import DataDir
from entcomp.kaldi.table import read_table, write_table

SCRIPT = Path(__file__).resolve().parents[2] / "egs/asterisk/local/prepare_voices.py"
RATE = 16_000


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Two speakers of 3 s each, silent for 0.3 s around 1.4 and 1.7 s; paths relative to it."""
    folder = tmp_path / "source"
    (folder / "wav").mkdir(parents=True)
    for name, middle in (("anna_1", 1.4), ("ben_1", 1.7)):
        waveform = np.sin(np.arange(3 * RATE) / 5)
        waveform[int((middle - 0.15) * RATE) : int((middle + 0.15) * RATE)] = 0
        soundfile.write(folder / "wav" / f"{name}.wav", 0.3 * waveform, RATE)
    write_table(folder / "wav.scp", [(one, f"wav/{one}.wav") for one in ("anna_1", "ben_1")])
    write_table(folder / "utt2spk", [("anna_1", "anna"), ("ben_1", "ben")])
    return folder


def halve(source: Path, out: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, SCRIPT, source, out]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_each_speaker_gets_two_utterances(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = halve(source, out)
    assert done.returncode == 0, done.stderr
    assert "4 utterances of 2 speakers" in done.stdout
    assert read_table(out / "utt2spk") == {
        "anna_1-a": "anna",
        "anna_1-b": "anna",
        "ben_1-a": "ben",
        "ben_1-b": "ben",
    }
    found = list(DataDir("out", out).utterances())
    assert [one.utt_id for one in found] == sorted(read_table(out / "utt2spk"))
    ends = [one.end for one in found]
    assert [ends[0], ends[2]] == pytest.approx([1.4, 1.7], abs=0.06), "where it is quiet"
    assert [one.start for one in found] == [0, ends[0], 0, ends[2]]
    assert "complete, skipped" in halve(source, out).stdout
    samples = [len(read_utterance(one, RATE)) for one in found]
    assert samples[0] + samples[1] == samples[2] + samples[3] == 3 * RATE, "nothing is lost"


def test_parts_of_recordings_were_cut_at_the_times_of_the_whole(
    source: Path, tmp_path: Path
) -> None:
    """Where the source has segments: ben's part begins after a second, and is quiet at 1.7 s."""
    write_table(source / "segments", [("anna_1", "anna_1 0 -1"), ("ben_1", "ben_1 1 2.5")])
    out = tmp_path / "out"
    assert halve(source, out).returncode == 0
    first, second = list(DataDir("out", out).utterances())[2:]
    assert (first.start, second.start, second.end) == (1, first.end, 2.5)
    assert first.end == pytest.approx(1.7, abs=0.06)


def test_a_recording_without_a_speaker(source: Path, tmp_path: Path) -> None:
    write_table(source / "utt2spk", [("anna_1", "anna")])
    done = halve(source, tmp_path / "out")
    assert done.returncode == 1 and not (tmp_path / "out").exists()
    assert "utt2spk: ben_1 is not here; add its speaker" in done.stderr
