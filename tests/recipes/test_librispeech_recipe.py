"""egs/librispeech_100/run.sh: its choices, and all of it on prompts in LibriSpeech's layout."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import tiny_configs
from make_tiny_mls import make_librispeech, real_recordings
from waiting import LOST

from entcomp.files import read_json
from entcomp.kaldi.table import read_table

RECIPE = Path(__file__).resolve().parents[2] / "egs/librispeech_100"
PROMPTS = Path(__file__).resolve().parents[1] / "fixtures/prompts"
PARTS = ("train-clean-100", "dev-clean", "dev-other", "test-clean", "test-other")
SETS = [part.replace("-", "_") for part in PARTS]


def run(folder: Path, *words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [RECIPE / "run.sh", *map(str, words)],
        cwd=folder,
        env=os.environ | {"LIBRISPEECH": str(folder / "LibriSpeech")} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LOST,
    )


def dry(folder: Path, *words: object) -> str:
    done = run(folder, "--dry-run", *words)
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_units_by_name(tmp_path: Path) -> None:
    words = ("--stage", 2, "--stop-stage", 2)
    hubert = dry(tmp_path, *words)
    assert "--num-clusters 500 --extractor hubert_base --layer 9 " in hubert
    assert "egs/librispeech_100/exp_hubert" in hubert
    wavlm = dry(tmp_path, *words, "--units", "wavlm", "--codebook", "km_2000.mdl")
    assert "--num-clusters 2000 --extractor wavlm_large --layer 21 " in wavlm
    assert f"--from {tmp_path / 'km_2000.mdl'}" in wavlm
    other = dry(tmp_path, *words, "--units", "wav2vec2", "--num-clusters", 100)
    assert "--num-clusters 100 --extractor wav2vec2 --max-frames" in other


def test_seeds_have_models_of_their_own(tmp_path: Path) -> None:
    words = ("--stage", 7, "--stop-stage", 9, "--streams", "raw fixed2/max", "--seeds", "3 4")
    said = dry(tmp_path, *words)
    tags = ("raw_seed3", "fixed2_max_seed3", "raw_seed4", "fixed2_max_seed4")
    assert all(f"train-asr --tag {tag} " in said for tag in tags)
    assert "--models asr/raw_seed3\\,asr/fixed2_max_seed3 " in said


def test_without_the_corpus(tmp_path: Path) -> None:
    done = run(tmp_path, "--stop-stage", 1, LIBRISPEECH="")
    assert done.returncode == 1
    assert "run.sh: set LIBRISPEECH in db.sh, or in the environment" in done.stdout


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``LibriSpeech`` of sixteen prompts, and settings of tiny models."""
    folder = tmp_path_factory.mktemp("librispeech_100")
    recordings = real_recordings(PROMPTS, 16, longest=2.9, shortest=1.2)
    shares = (8, 2, 2, 2, 2)
    for part, share in zip(PARTS, shares, strict=True):
        make_librispeech(folder / "LibriSpeech" / part, recordings[:share])
        del recordings[:share]
    for name, text in {"lm": tiny_configs.LM, "asr": tiny_configs.TRAINED_TEXT}.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder


def test_all_stages(corpus: Path) -> None:
    options = """--data data --exp exp --nj 1 --ngpu 0 --threads 1 --units mfcc --num-clusters 20
        --rates 15 --lm-config lm.yaml --asr-config asr.yaml --streams rate15_global"""
    done = run(corpus, *options.split(), OMP_NUM_THREADS="1")
    assert done.returncode == 0, done.stdout[-3000:]
    assert (
        read_table(corpus / "data/test_other/text").keys()
        == read_table(corpus / "data/test_other/utt2dur").keys()
    )
    exp = corpus / "exp"
    for name in SETS[1:]:
        scores = read_json(exp / f"asr/rate15_global/decode_{name}/scores.json")
        assert scores["wer"]["percent"] > 0
    for name in SETS[3:]:
        assert read_json(exp / f"align_eval/rate15_global/{name}.json")["tiers"].keys() == {
            "words",
            "phones",
        }
    assert set(read_json(exp / "latency.json")["models"]) == {"asr/rate15_global"}
    table = (exp / "results.md").read_text().splitlines()
    assert [cell.strip() for cell in table[0].split("|")][1:-1] == [
        *("stream", "Hz"),
        *SETS[1:],
    ]
    assert table[2].startswith("| rate15_global") and table[3].startswith("| ESPnet: WavLM-large")
