"""Processes that srun starts, and those that wait for the first one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from waiting import LOST

from entcomp.config import make_config
from entcomp.errors import EntcompError
from entcomp.training.config import TrainingConfig
from entcomp.training.ranks import check_share, first_node, tasks_of_srun

# What srun tells a task; SLURM_JOB_ID makes the port.
TASK = {"SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2", "SLURM_STEP_NUM_TASKS": "2"}
PROGRAM = """
import sys, time
from pathlib import Path
from entcomp.config import make_config
from entcomp.training.config import TrainingConfig
from entcomp.training.ranks import first_rank_first, is_first_rank, join_ranks

made = Path(sys.argv[1])
join_ranks(make_config(TrainingConfig, {"devices": 2}, "test"))
here = made.with_name("here")
if not is_first_rank():
    here.write_text("")
with first_rank_first():
    print("made" if is_first_rank() else "silent", flush=True)
    if is_first_rank():
        while not here.exists():  # the other rank has come, and waits
            time.sleep(0.01)
        made.write_text("complete")
    assert made.read_text() == "complete"
"""


STORED = """
import sys
from pathlib import Path
from entcomp.config import make_config
from entcomp.training.utterances import stored_datasets
from entcomp.training.config import TrainingConfig
from entcomp.training.ranks import is_first_rank, join_ranks, wait_for_all

def rows():
    assert is_first_rank()
    for number in range(100):
        yield [number]

join_ranks(make_config(TrainingConfig, {"devices": 2}, "test"))
with stored_datasets(Path(sys.argv[1]), rows(), rows(), make=int) as both:
    assert all(list(one) == list(range(100)) for one in both)
    wait_for_all()
"""


def started(monkeypatch: pytest.MonkeyPatch, tasks: int, **config: int) -> int:
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", str(tasks))
    return tasks_of_srun(make_config(TrainingConfig, config, "test"))


def test_the_processes_are_started_unless_srun_has(monkeypatch: pytest.MonkeyPatch) -> None:
    assert started(monkeypatch, 1, devices=2) == 1
    assert started(monkeypatch, 2, devices=2) == 2
    assert started(monkeypatch, 8, devices=4, num_nodes=2) == 8


@pytest.mark.parametrize(("tasks", "config"), [(4, {"devices": 2}), (1, {"num_nodes": 2})])
def test_another_number_of_tasks_than_devices(
    monkeypatch: pytest.MonkeyPatch, tasks: int, config: dict[str, int]
) -> None:
    with pytest.raises(EntcompError, match=r"2 processes, but there are .*srun --nodes="):
        started(monkeypatch, tasks, **config)


@pytest.mark.parametrize(
    ("nodes", "first"),
    [
        ("localhost", "localhost"),
        ("gpu-a[03-05,07],gpu-b1", "gpu-a03"),
        ("gpu-b1,gpu-a[03-05]", "gpu-b1"),
        ("n[1,3]-ib", "n1-ib"),
        ("rack2.node17.example.org", "rack2.node17.example.org"),
    ],
)
def test_the_first_node_of_a_list(nodes: str, first: str) -> None:
    assert first_node(nodes) == first


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


def test_all_ranks_read_what_the_first_one_stores(tmp_path: Path) -> None:
    assert run_two_ranks(STORED, tmp_path / "made") == ["", ""]
    assert not list((tmp_path / "made").glob(".*.jsonl"))


def test_other_ranks_do_not_wait_for_one_that_failed(tmp_path: Path) -> None:
    """They ended in a traceback about their connection."""
    said = run_two_ranks(STORED.replace("in range(100)", "in [1 // 0]"), tmp_path / "made")
    assert said[0].endswith("ZeroDivisionError: integer division or modulo by zero")
    assert said[1].endswith("EntcompError: another rank of this training failed; see its message")
    assert not list((tmp_path / "made").glob(".*.jsonl"))


def run_toy(folder: Path, disturb: str, *settings: str) -> tuple[int, str]:
    """Exit code and stderr of a training of two processes."""
    program = Path(__file__).with_name("toy_training.py")
    options = ["devices=2", f"disturb={disturb}", *settings]
    result = subprocess.run(
        [sys.executable, program, folder, *options], capture_output=True, text=True, timeout=LOST
    )
    return result.returncode, result.stderr


@pytest.mark.parametrize("disturb", ["fail", "vanish"])
def test_a_rank_that_is_lost_ends_the_training(tmp_path: Path, disturb: str) -> None:
    code, said = run_toy(tmp_path, disturb)
    assert code == 1
    assert said.endswith("EntcompError: another rank of this training failed; see its message\n")
    assert ("the second rank says why" in said) == (disturb == "fail")
    assert not (tmp_path / "model.safetensors").exists()


def test_the_first_rank_takes_the_others_with_it(tmp_path: Path) -> None:
    code, said = run_toy(tmp_path, "terminate")
    assert code == 128 + signal.SIGTERM
    processes = {int(line) for line in said.splitlines() if line.isdigit()}
    assert len(processes) == 2
    for one in processes:
        with pytest.raises(ProcessLookupError):
            os.kill(one, 0)


def test_a_rank_that_does_not_start_is_no_endless_wait(tmp_path: Path) -> None:
    """As that of a program that comes from a pipe, which nobody can run again."""
    program = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from toy_training import run_toy
from pathlib import Path
run_toy(Path({str(tmp_path)!r}), devices=2)
"""
    result = subprocess.run(
        [sys.executable, "-"], input=program, capture_output=True, text=True, timeout=LOST
    )
    assert result.returncode == 1
    assert "another rank of this training ended before it began" in result.stderr


def test_a_rank_without_examples_was_a_traceback() -> None:
    check_share(4, TrainingConfig(devices=2, num_nodes=2))
    with pytest.raises(EntcompError, match="3 examples a batch for 4 devices"):
        check_share(3, TrainingConfig(devices=2, num_nodes=2))
