"""egs/mls_en/local: tables 1 to 13, and references for voice conversion."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from make_tiny_mls import made_recordings, make_librispeech
from waiting import LOST

from entcomp.files import write_json
from entcomp.kaldi.table import read_table

LOCAL = Path(__file__).resolve().parents[2] / "egs/mls_en/local"


def call(script: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(LOCAL / script), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=LOST)


def table(page: str, number: int) -> str:
    return page.split(f"### Table {number}:")[1].split("###")[0]


def row(page: str, number: int, label: str) -> list[str]:
    """The cells of a row."""
    lines = [line for line in table(page, number).splitlines() if line.startswith(f"| {label} ")]
    (line,) = lines
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


def test_cells_stand_beside_the_papers_and_missing_ones_are_dashes(tmp_path: Path) -> None:
    scores = {"wer": {"percent": 7.26}, "cer": {"percent": 3.04}}
    write_json(tmp_path / "asr/rate15_global/decode_test_clean/scores.json", scores)
    translated = {"bleu": {"score": 20.25}, "chrf": {"score": 40.0}}
    write_json(tmp_path / "st/fr_raw/decode_test_cvss_fr/scores.json", translated)
    spoken = {
        "distillmos": {"mean": 3.456},
        "similarity_reference": {"mean": 0.8},
        "utmos": {"mean": 2.5},
        "wer_moonshine": {"percent": 9.0},
    }
    systems = {"systems": {"rate15_global": spoken}}
    write_json(tmp_path / "vc/scores/test_clean/scores.json", systems)
    timings = {"milliseconds": {"total": {"p50": 99.96, "p95": 120.0}}}
    write_json(tmp_path / "latency.json", {"models": {"asr/dedup": timings}})
    near = {"within_50ms": 0.321, "mean_absolute_deviation_ms": 21.5}
    tiers = {"words": {"segmentation": {"within_50ms": 0.2}}, "phones": {"segmentation": near}}
    aligned = {"rate": 15.2, "mean_span_ms": 65.8, "tiers": tiers}
    write_json(tmp_path / "align_eval/rate15_global/test_clean.json", aligned)

    result = call("tables.py", tmp_path)
    assert result.returncode == 0, result.stderr
    page = (tmp_path / "tables.md").read_text()
    assert row(page, 3, "entropy, 15 Hz") == ["7.3 / 5.6", "3.0 / 2.9"]
    assert row(page, 3, "HuBERT, 50 Hz") == ["- / 6.2", "- / 3.3"]
    assert row(page, 4, "HuBERT, 50 Hz") == ["- / 28.2", "20.2 / 28.5", "- / 29.3"]
    assert row(page, 5, "entropy, 15 Hz") == ["3.46 / 3.85", "0.80 / 3.78", "9.0 / 6.4"]
    assert row(page, 1, "15 Hz, VC") == [
        "9.0 / 7.3",
        "- / 4.2",
        "",
        "3.46 / 3.82",
        "0.80 / 3.76",
        "2.50 / 3.80",
    ]
    assert row(page, 6, "deduplicated, 26 Hz") == ["100.0 / 148.0"]
    assert row(page, 13, "15 Hz, global") == ["7.3 / 5.8", "- / 31.5"]
    assert row(page, 11, "15 Hz") == [
        "15.2 / 15.0",
        "65.8 / 67.0",
        "20.0 / 22.6",
        "32.1 / 83.2",
        "21.5 / 15.8",
    ]


def test_undefined_scores_are_dashes(tmp_path: Path) -> None:
    """A mean over no boundary is null in the scores."""
    tiers = {"phones": {"segmentation": {"mean_absolute_deviation_ms": None}}}
    write_json(tmp_path / "align_eval/dedup/test_clean.json", {"rate": 26.0, "tiers": tiers})
    assert call("tables.py", tmp_path).returncode == 0
    page = (tmp_path / "tables.md").read_text()
    assert row(page, 11, "deduplicated")[0] == "26.0 / 26.0"
    assert row(page, 11, "deduplicated")[4] == "- / 42.3"


def test_table_10_is_of_another_experiment(tmp_path: Path) -> None:
    scores = {"wer": {"percent": 4.0}, "cer": {"percent": 2.0}}
    write_json(tmp_path / "k2000/asr/rate15_global/decode_test_clean/scores.json", scores)
    (tmp_path / "exp").mkdir()
    call("tables.py", tmp_path / "exp", "--exp-k2000", tmp_path / "k2000")
    page = (tmp_path / "exp/tables.md").read_text()
    assert row(page, 10, "15 Hz") == ["4.0 / 3.9", "2.0 / 2.4", "- / 33.2"]
    assert row(page, 3, "entropy, 15 Hz") == ["- / 5.6", "- / 2.9"]


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
