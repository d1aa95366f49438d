"""Processes that srun starts, and those that wait for the first one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from lightning_fabric.plugins.environments import LightningEnvironment, SLURMEnvironment

from entcomp.config import make_config
from entcomp.errors import EntcompError
from entcomp.training.config import TrainingConfig
from entcomp.training.ranks import cluster_environment

# What srun tells a task; SLURM_JOB_ID makes the port.
TASK = {"SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2", "SLURM_STEP_NUM_TASKS": "2"}
PROGRAM = """
import sys, time
from pathlib import Path
from entcomp.config import make_config
from entcomp.training.config import TrainingConfig
from entcomp.training.ranks import first_rank_first, is_first_rank, meet

made = Path(sys.argv[1])
meet(make_config(TrainingConfig, {"devices": 2}, "test"))
with first_rank_first():
    print("made" if is_first_rank() else "silent", flush=True)
    if is_first_rank():
        time.sleep(1)
        made.write_text("whole")
    assert made.read_text() == "whole"
"""


SPILL = """
import sys, time
from pathlib import Path
from entcomp.config import make_config
from entcomp.training.config import TrainingConfig
from entcomp.training.ranks import is_first_rank, meet, wait_for_all
from entcomp.training.spill import spill

def items():
    assert is_first_rank()
    time.sleep(1)
    yield from range(100)

meet(make_config(TrainingConfig, {"devices": 2}, "test"))
with spill(Path(sys.argv[1]), items()) as spilled:
    assert list(spilled) == list(range(100))
    wait_for_all()
"""


def environment(monkeypatch: pytest.MonkeyPatch, tasks: int, **config: int) -> object:
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", str(tasks))
    monkeypatch.setenv("SLURM_NTASKS", str(tasks))
    monkeypatch.setenv("SLURM_NTASKS_PER_NODE", str(tasks))
    return cluster_environment(make_config(TrainingConfig, config, "test"))


def test_lightning_starts_the_processes_unless_srun_has(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(environment(monkeypatch, 1, devices=2), LightningEnvironment)
    found = environment(monkeypatch, 2, devices=2)
    assert isinstance(found, SLURMEnvironment) and not found.auto_requeue


@pytest.mark.parametrize(("tasks", "config"), [(4, {"devices": 2}), (1, {"num_nodes": 2})])
def test_another_number_of_tasks_than_devices(
    monkeypatch: pytest.MonkeyPatch, tasks: int, config: dict[str, int]
) -> None:
    with pytest.raises(EntcompError, match=r"2 processes, but there are .*srun --nodes="):
        environment(monkeypatch, tasks, **config)


def run_two_ranks(program: str, made: Path) -> list[str]:
    """What each prints, or the last line of its error."""
    ranks = [
        subprocess.Popen(
            [sys.executable, "-c", program, made],
            env=os.environ
            | TASK
            | {
                "SLURM_PROCID": str(rank),
                "SLURM_LOCALID": str(rank),
                "SLURM_NODEID": "0",
                "SLURM_NODELIST": "localhost",
                "SLURM_JOB_ID": str(os.getpid() % 10_000),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    said = [one.communicate(timeout=120) for one in ranks]
    return [
        errors.splitlines()[-1] if one.returncode else out
        for one, (out, errors) in zip(ranks, said, strict=True)
    ]


def test_others_wait_for_what_the_first_rank_writes(tmp_path: Path) -> None:
    """Two tasks packed a corpus at the same time, into the same temporary file."""
    assert run_two_ranks(PROGRAM, tmp_path / "made") == ["made\n", ""]


def test_all_ranks_read_what_the_first_one_spills(tmp_path: Path) -> None:
    assert run_two_ranks(SPILL, tmp_path / "made") == ["", ""]
    assert not (tmp_path / "made").exists()


def test_other_ranks_do_not_wait_for_one_that_failed(tmp_path: Path) -> None:
    """They ended in a traceback about their connection."""
    said = run_two_ranks(SPILL.replace("range(100)", "[1 // 0]"), tmp_path / "made")
    assert said[0].endswith("ZeroDivisionError: integer division or modulo by zero")
    assert said[1].endswith("EntcompError: another rank of this training failed; it says why")
    assert not (tmp_path / "made").exists()
