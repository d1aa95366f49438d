"""egs/speechocean762: the split by speakers, and the commands of every stage."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from entcomp.files import write_json
from entcomp.kaldi.table import read_table, write_table

RECIPE = Path(__file__).resolve().parents[2] / "egs/speechocean762"


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Thirty speakers of two utterances, with paths relative to the folder above, as OpenSLR's."""
    folder = tmp_path / "corpus/train"
    ids = [f"{speaker:05d}{utterance:04d}" for speaker in range(30) for utterance in range(2)]
    for utt_id in ids:
        path = tmp_path / "corpus/WAVE" / f"{utt_id}.WAV"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"RIFF")
    write_table(folder / "wav.scp", [(utt_id, f"WAVE/{utt_id}.WAV") for utt_id in ids])
    write_table(folder / "text", [(utt_id, "WE CALL IT BEAR") for utt_id in ids])
    write_table(folder / "utt2spk", [(utt_id, utt_id[1:5]) for utt_id in ids])
    return folder


def prepare(corpus: Path, data: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(RECIPE / "local/prepare_data.py"), *options, corpus, data]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_no_speaker_is_in_two_sets(corpus: Path, tmp_path: Path) -> None:
    done = prepare(corpus, tmp_path / "data", "--test-speakers", "5", "--dev-speakers", "3")
    assert done.returncode == 0, done.stderr
    speakers = {
        name: set(read_table(tmp_path / "data" / name / "utt2spk").values())
        for name in ("train", "dev", "test")
    }
    assert {name: len(found) for name, found in speakers.items()} == {
        "train": 22,
        "dev": 3,
        "test": 5,
    }
    assert len(set.union(*speakers.values())) == 30
    assert set(read_table(tmp_path / "data/test/text").values()) == {"we call it bear"}


def test_a_missing_recording_is_named(corpus: Path, tmp_path: Path) -> None:
    (corpus.parent / "WAVE/000000000.WAV").unlink()
    done = prepare(corpus, tmp_path / "data")
    assert done.returncode == 1
    assert "WAVE/000000000.WAV" in done.stderr
    assert "Traceback" not in done.stderr


def test_too_few_speakers(corpus: Path, tmp_path: Path) -> None:
    done = prepare(corpus, tmp_path / "data", "--test-speakers", "30")
    assert done.returncode == 1
    assert "too few" in done.stderr


def test_dry_run_prints_every_stage(corpus: Path) -> None:
    command = [RECIPE / "run.sh", "--corpus", corpus, "--dry-run"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    for stage in range(1, 11):
        assert f"stage {stage}: " in done.stdout
    assert done.stdout.count("entcomp train-asr") == 8 * 3
    assert done.stdout.count("entcomp decode") == 8 * 3


def test_error_table_pairs_streams_with_raw(tmp_path: Path) -> None:
    write_table(tmp_path / "data/test/text", [("a", "one two"), ("b", "three four")])
    hypotheses = {
        "raw_seed0": ("one", "three four"),
        "raw_seed1": ("", "three four"),  # nothing was recognised
        "fixed3_seed0": ("one two", "three four"),
    }
    for model, texts in hypotheses.items():
        folder = tmp_path / "exp/asr" / model / "decode_test"
        write_table(folder / "text", zip("ab", texts, strict=True))
        rate, percent = (13.9, 0.0) if "fixed3" in model else (41.7, 25.0 if texts[0] else 50.0)
        write_json(folder / "scores.json", {"rate": rate, "wer": {"percent": percent}})
    command = [sys.executable, RECIPE / "local/error_table.py", "data", "exp", "test"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    raw, fixed = ([one.strip() for one in row.split("|")] for row in done.stdout.split("\n")[2:4])
    assert raw[1:3] == ["raw", "41.7"]
    assert raw[3].startswith("37.5 [0.0, 75.0]")  # 1.5 of 4 words, of both seeds
    assert raw[5] == "25.0 50.0"
    assert fixed[3:5] == ["0.0 [0.0, 0.0]", "-37.5 [-75.0, +0.0]"]


def test_error_table_without_raw(tmp_path: Path) -> None:
    write_table(tmp_path / "text", [])
    command = [sys.executable, RECIPE / "local/error_table.py", tmp_path.parent, tmp_path]
    done = subprocess.run([*command, tmp_path.name], capture_output=True, text=True)
    assert done.returncode == 1
    assert "run stage 9" in done.stderr


def test_the_corpus_has_to_be_named() -> None:
    done = subprocess.run([RECIPE / "run.sh", "--dry-run"], capture_output=True, text=True)
    assert done.returncode == 1
    assert "--corpus" in done.stderr
