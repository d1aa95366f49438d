"""egs/mls_en on a real one-node SLURM: the same bytes as on this machine."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from waiting import LOST

sys.path.append(str(Path(__file__).resolve().parents[1] / "recipes"))

import tiny_configs
from make_tiny_mls import make_librispeech, make_mls, real_recordings

pytestmark = pytest.mark.slurm

OPTIONS = {
    "nj": "2",
    "ngpu": "0",
    "threads": "1",
    "extractor": "mfcc",
    "num-clusters": "20",
    "lm-config": "lm.yaml",
    "subset": "9hr",
    "rates": "10",
}


@pytest.fixture
def corpora(tmp_path: Path, prompt_data: Path) -> Path:
    """A dozen prompts in the layouts of MLS and LibriSpeech."""
    recordings = real_recordings(prompt_data)
    make_mls(tmp_path / "mls_english", recordings[:8])
    make_librispeech(tmp_path / "LibriSpeech/dev-clean", recordings[8:10])
    make_librispeech(tmp_path / "LibriSpeech/test-clean", recordings[10:12])
    (tmp_path / "lm.yaml").write_text(tiny_configs.LM)
    return tmp_path


def run(folder: Path, repository: Path, environment: dict[str, str], *stages: str) -> None:
    options = OPTIONS | {"data": "data", "exp": "exp", "stage": stages[0], "stop-stage": stages[1]}
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    corpora = {"MLS": f"{folder}/mls_english", "LIBRISPEECH": f"{folder}/LibriSpeech"}
    result = subprocess.run(
        [str(repository / "egs/mls_en/run.sh"), *words],
        cwd=folder,
        env=environment | corpora | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LOST,
    )
    assert result.returncode == 0, result.stdout[-3000:]


def outputs(exp: Path) -> dict[str, bytes]:
    """All that stages 3 to 6 left, save logs and what names the time it was made."""
    folders = (exp / "units", exp / "entropy", exp / "segments")
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    files.append(exp / "lm" / "model.safetensors")
    return {str(path.relative_to(exp)): path.read_bytes() for path in files}


def test_stages_3_to_6_on_slurm_give_the_bytes_of_the_local_backend(
    corpora: Path, repository: Path, slurm_environment: dict[str, str]
) -> None:
    run(corpora, repository, slurm_environment, "1", "2")
    shutil.copytree(corpora / "exp", corpora / "before")
    run(corpora, repository, slurm_environment, "3", "6")
    local = outputs(corpora / "exp")
    shutil.rmtree(corpora / "exp")
    shutil.copytree(corpora / "before", corpora / "exp")
    run(corpora, repository, slurm_environment | {"CMD_BACKEND": "slurm"}, "3", "6")
    cluster = outputs(corpora / "exp")
    assert "segments/rate10_global/test_clean/groups.ark" in local
    assert local.keys() == cluster.keys()
    assert [name for name in local if local[name] != cluster[name]] == []
