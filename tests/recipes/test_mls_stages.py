"""egs/mls_en/run.sh in earnest: all stages on a few prompts in the layouts of the real corpora."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import tiny_configs
from make_tiny_mls import (
    make_covost,
    make_cvss,
    make_librispeech,
    make_mls,
    real_recordings,
)
from waiting import LOST

from entcomp.files import read_json
from entcomp.kaldi.table import read_table

RECIPE = Path(__file__).resolve().parents[2] / "egs/mls_en"
# A mel frame is shorter than one of MFCC, or groups of one frame would begin in the same.
VC = """
mel: {hop_length: 200}
local: {layers: 1, heads: 2}
dit: {dim: 32, depth: 1, heads: 2}
batch: {size: 2, max_target: 0.5, max_prompt: 0.5}
sampler: {steps: 2}
training: {max_steps: 2, warmup_steps: 1, val_interval: 2}
"""
TAG = "rate15_global"


class Recipe:
    """The corpora, data and exp in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.exp = folder / "exp"

    def make_corpora(self, speech: Path) -> None:
        recordings = real_recordings(speech, 18, longest=2.9, shortest=1.2)
        make_mls(self.folder / "mls", recordings[:8])
        make_librispeech(self.folder / "librispeech/dev-clean", recordings[8:10])
        long = real_recordings(speech, 4, shortest=3.0, first_reader=2000)
        make_librispeech(self.folder / "librispeech/test-clean", long)
        cvss = self.folder / "cvss/cvss_c_fr_en_v1.0"
        covost = self.folder / "covost/covost_v2.en_zh-CN.tsv"
        for split, part in [("train", recordings[10:14]), ("dev", recordings[14:16])]:
            make_cvss(cvss, self.folder / "voice/fr", "fr", split, part)
            make_covost(covost, self.folder / "voice/en", split, part)
        make_cvss(cvss, self.folder / "voice/fr", "fr", "test", recordings[16:])
        make_covost(covost, self.folder / "voice/en", "test", recordings[16:])
        for name, text in {
            "lm": tiny_configs.LM,
            "text": tiny_configs.TRAINED_TEXT,
            "vc": VC,
        }.items():
            (self.folder / f"{name}.yaml").write_text(text)

    def run(self, first: int, last: int, *words: str | Path) -> str:
        """Run stages; returns what they printed."""
        options = f"""--stage {first} --stop-stage {last} --data data --exp exp
            --nj 1 --ngpu 0 --threads 1 --subset 10hr --langs fr --extractor mfcc
            --num-clusters 20 --rates 15 --lm-config lm.yaml --asr-config text.yaml
            --st-config text.yaml --vc-config vc.yaml"""
        places = {
            "MLS": "mls",
            "LIBRISPEECH": "librispeech",
            "CVSS": "cvss",
            "COVOST": "covost",
            "COMMON_VOICE": "voice",
        }
        corpora = {name: str(self.folder / place) for name, place in places.items()}
        done = subprocess.run(
            [RECIPE / "run.sh", *options.split(), *words],
            cwd=self.folder,
            env=os.environ | corpora | {"OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LOST,
        )
        assert done.returncode == 0, done.stdout[-3000:]
        return done.stdout


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory, prompt_data: Path) -> Recipe:
    """Units, entropies and segments are there."""
    made = Recipe(tmp_path_factory.mktemp("mls_en"))
    made.make_corpora(prompt_data)
    made.run(1, 6)
    return made


def test_recognisers_are_trained_scored_and_timed(recipe: Recipe) -> None:
    recipe.run(7, 7, "--models", TAG, "--devices", "2")
    scores = read_json(recipe.exp / f"asr/{TAG}/decode_test_clean/scores.json")
    assert scores["wer"]["percent"] > 0
    recipe.run(11, 11, "--models", TAG)
    assert set(read_json(recipe.exp / "latency.json")["models"]) == {f"asr/{TAG}"}


def test_translators_of_both_corpora_are_trained_and_scored(recipe: Recipe) -> None:
    recipe.run(8, 8, "--models", TAG)
    for tag, test_set in [("fr", "test_cvss_fr"), ("covost_zh", "test_covost_zh")]:
        folder = recipe.exp / f"st/{tag}_{TAG}/decode_{test_set}"
        assert "tok:" in read_json(folder / "scores.json")["bleu"]["signature"]


def test_voices_are_converted_and_scored(recipe: Recipe) -> None:
    recipe.run(9, 9, "--models", TAG, "--vocoder", "griffin-lim")
    systems = read_json(recipe.exp / "vc/scores/test_clean/scores.json")["systems"]
    assert 0 < systems[TAG]["similarity_reference"]["mean"] < 1
    speakers = read_table(recipe.folder / "data/test_clean/utt2spk")
    assert len(read_table(recipe.exp / "vc/references")) == len(speakers) == 4


def test_boundaries_and_tables(recipe: Recipe) -> None:
    recipe.run(10, 10)
    recipe.run(12, 12)
    page = (recipe.exp / "report/paper.md").read_text()
    assert "## Table 13" in page and "`--exp-k2000`" in page
    boundaries = page.split("## Table 11")[1].splitlines()
    (row,) = [line for line in boundaries if line.startswith("| dedup ")]
    cells = [cell.strip() for cell in row.split("|")[1:-1]]
    assert all(cells), "scores, chance and the paper's figures"
