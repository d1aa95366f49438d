"""egs/mls_en/local: references for voice conversion."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from make_tiny_mls import made_recordings, make_librispeech
from waiting import LOST

from entcomp.kaldi.table import read_table

LOCAL = Path(__file__).resolve().parents[2] / "egs/mls_en/local"


def call(script: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(LOCAL / script), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=LOST)


@pytest.fixture
def librispeech(tmp_path: Path) -> Path:
    make_librispeech(tmp_path / "LibriSpeech/test-clean", made_recordings(readers=(61, 610)))
    folder = tmp_path / "test_clean"
    call("prepare_librispeech.py", tmp_path / "LibriSpeech/test-clean", folder)
    return folder


def test_references_are_of_other_readers(librispeech: Path, tmp_path: Path) -> None:
    result = call("draw_references.py", librispeech, tmp_path / "refs", "--seconds", "0.4")
    assert result.returncode == 0, result.stderr
    references, wavs = read_table(tmp_path / "refs"), read_table(librispeech / "wav.scp")
    speakers = read_table(librispeech / "utt2spk")
    reader_of = {wavs[utt_id]: speakers[utt_id] for utt_id in wavs}
    assert references.keys() == wavs.keys()
    assert all(reader_of[wav] != speakers[utt_id] for utt_id, wav in references.items())


def test_no_recording_is_long_enough_to_be_a_reference(librispeech: Path, tmp_path: Path) -> None:
    result = call("draw_references.py", librispeech, tmp_path / "refs")
    assert result.returncode == 1
    assert "no other reader's utterance of 3 s for 61-1000-0000; lower --seconds" in result.stderr
