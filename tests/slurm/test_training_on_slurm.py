"""A training of two tasks on a real one-node SLURM, put back into the queue midway."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from fake_experiment import make_fake
from waiting import LOST, until

pytestmark = pytest.mark.slurm

LM = """
layers: 1
dim: 16
heads: 2
ffn_dim: 32
context: 32
dropout: 0.0
rows_per_batch: 4
score_overlap: 16
training: {max_steps: 100, val_interval: 10, log_interval: 1, warmup_steps: 5}
"""


def start(
    folder: Path, repository: Path, environment: dict[str, str], devices: int, exp: str
) -> subprocess.Popen[str]:
    """Stage 4 of the recipe, the training of the LM."""
    options = f"""--stage 4 --stop-stage 4 --ngpu 0 --threads 1 --devices {devices}
        --data data --exp {exp} --lm-config lm.yaml"""
    return subprocess.Popen(
        [repository / "egs/mls_en/run.sh", *options.split()],
        cwd=folder,
        env=environment | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> None:
    said, _ = process.communicate(timeout=LOST)
    assert process.returncode == 0, said


def losses(exp: Path) -> list[tuple[int, str, float]]:
    lines = (exp / "lm/log.jsonl").read_text().splitlines()
    return [(line["step"], line["split"], line["loss"]) for line in map(json.loads, lines)]


def put_back(folder: Path, environment: dict[str, str]) -> None:
    """Send the running job back to the queue as soon as it has a checkpoint."""
    until(lambda: (folder / "exp/lm/checkpoints/last.ckpt").exists())
    listed = ["squeue", "--noheader", "--format=%A"]
    job = subprocess.run(listed, env=environment, capture_output=True, text=True, check=True)
    subprocess.run(["scontrol", "requeue", job.stdout.strip()], env=environment, check=True)


def test_two_tasks_put_back_into_the_queue_learn_what_one_process_does(
    tmp_path: Path, repository: Path, slurm_environment: dict[str, str]
) -> None:
    make_fake(tmp_path, {"train_mls": 20, "dev_clean": 4}, length=100)
    (tmp_path / "lm.yaml").write_text(LM)
    on_slurm = slurm_environment | {"CMD_BACKEND": "slurm"}
    training = start(tmp_path, repository, on_slurm, 2, "exp")
    put_back(tmp_path, slurm_environment)
    finish(training)
    log = (tmp_path / "exp/log/train-lm_forward.log").read_text()
    assert "srun" in log and log.count("# Started at") == 2
    assert log.count("step 10: dev") == 1, "it went on from its checkpoint"

    (tmp_path / "alone").mkdir()
    (tmp_path / "alone/units").symlink_to(tmp_path / "exp/units")
    finish(start(tmp_path, repository, slurm_environment, 1, "alone"))
    two, one = losses(tmp_path / "exp"), losses(tmp_path / "alone")
    # The log has the first task's losses; those on the dev set are of both.
    assert [step[:2] for step in two] == [step[:2] for step in one]
    dev = [[loss for _, split, loss in steps if split == "dev"] for steps in (two, one)]
    assert dev[0] == pytest.approx(dev[1], rel=1e-4)
