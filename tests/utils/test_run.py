"""utils/run.py: Kaldi's calling convention on this machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from waiting import LOST, until

UTILS = Path(__file__).resolve().parents[2] / "utils"


def run(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(UTILS / "run.py"), *words],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=LOST,
    )


def body(log: Path) -> str:
    """What the job itself wrote."""
    lines = log.read_text().splitlines()
    return "\n".join(line for line in lines if not line.startswith("#"))


def test_each_number_has_its_log_with_kaldis_head_and_foot(tmp_path: Path) -> None:
    result = run(tmp_path, "--mem", "8G", "JOB=2:4", "log/a.JOB.log", "echo", "job", "JOB")
    assert result.returncode == 0, result.stderr
    assert sorted(path.name for path in (tmp_path / "log").iterdir()) == [
        "a.2.log",
        "a.3.log",
        "a.4.log",
    ]
    lines = (tmp_path / "log/a.3.log").read_text().splitlines()
    assert lines[0] == "# echo job 3"
    assert any(line.startswith("# Started at ") for line in lines)
    assert "job 3" in lines
    assert lines[-1].startswith("# Ended (code 0) at ")


def test_options_may_stand_on_both_sides_of_the_range(tmp_path: Path) -> None:
    result = run(tmp_path, "--gpu", "0", "X=1:2", "--max-jobs-run", "1", "l.X", "echo", "X")
    assert result.returncode == 0, result.stderr
    assert [body(tmp_path / f"l.{i}") for i in (1, 2)] == ["1", "2"]


def test_one_number_and_no_range(tmp_path: Path) -> None:
    assert run(tmp_path, "JOB=7", "l.JOB", "echo", "JOB").returncode == 0
    assert body(tmp_path / "l.7") == "7"
    assert run(tmp_path, "single", "echo", "JOB").returncode == 0
    assert body(tmp_path / "single") == "JOB"


def test_words_with_spaces_stay_one_word_and_operators_reach_bash(tmp_path: Path) -> None:
    words = ["printf", "[%s] \\n", "a  b", "it's a $HOME", 'a "b"', "", "|", "sed", "s/^/> /"]
    assert run(tmp_path, "log", *words).returncode == 0
    assert body(tmp_path / "log").splitlines() == [
        "> [a  b] ",
        "> [it's a $HOME] ",
        '> [a "b"] ',
        "> [] ",
    ]


def test_failed_job_is_named_with_the_tail_of_its_log(tmp_path: Path) -> None:
    script = "seq 50; echo the reason; exit JOB"
    result = run(tmp_path, "JOB=1:1", "l.JOB", "bash", "-c", script)
    assert result.returncode == 1
    assert "job 1 failed (exit code 1); l.1 ends:" in result.stderr
    assert "the reason" in result.stderr
    assert "    50" in result.stderr and "    20" not in result.stderr
    assert "# Ended (code 1) at" in (tmp_path / "l.1").read_text()


def test_failure_inside_a_pipe_counts(tmp_path: Path) -> None:
    assert run(tmp_path, "l", "false", "|", "cat").returncode == 1


def test_killed_job_is_a_failed_one(tmp_path: Path) -> None:
    result = run(tmp_path, "l", "bash", "-c", "kill -9 $$")
    assert result.returncode == 1
    assert "exit code 137" in result.stderr


def test_only_failed_jobs_are_retried(tmp_path: Path) -> None:
    script = "echo JOB >> runs.JOB; [ JOB != 2 ] || [ $(wc -l < runs.JOB) = 3 ]"
    result = run(tmp_path, "--retries", "2", "JOB=1:3", "l.JOB", "bash", "-c", script)
    assert result.returncode == 0, result.stderr
    assert [len((tmp_path / f"runs.{i}").read_text().split()) for i in (1, 2, 3)] == [1, 3, 1]
    assert "1 of 3 jobs failed: 2; starting only these again" in result.stderr


def test_retries_end(tmp_path: Path) -> None:
    script = "echo x >> runs; false"
    assert run(tmp_path, "--retries", "2", "l", "bash", "-c", script).returncode == 1
    assert len((tmp_path / "runs").read_text().split()) == 3


# Jobs 1 and 2 wait for each other, then 3 and 4, and so on.
IN_PAIRS = (
    "touch started.JOB; "
    "until [ $(ls started.* | wc -l) -ge $(((JOB + 1) / 2 * 2)) ]; do sleep 0.01; done;"
)


def test_max_jobs_run_limits_how_many_run_at_a_time(tmp_path: Path) -> None:
    """Two do run at a time, or the first would wait for ever; never three."""
    script = f"touch run.JOB; {IN_PAIRS} set -- run.*; echo $#; rm run.JOB"
    words = ["--max-jobs-run", "2", "JOB=1:6", "l.JOB", "bash", "-c", script]
    assert run(tmp_path, *words).returncode == 0
    assert {int(body(tmp_path / f"l.{i}")) for i in range(1, 7)} <= {1, 2}


def test_threads_and_gpus_are_told_to_the_job(tmp_path: Path) -> None:
    words = ["--num-threads", "3", "--gpu", "2", "JOB=1:4", "l.JOB", "bash", "-c"]
    script = f"{IN_PAIRS} echo $OMP_NUM_THREADS $CUDA_VISIBLE_DEVICES"
    result = run(tmp_path, *words, script, CUDA_VISIBLE_DEVICES="4,5,6,7")
    assert result.returncode == 0, result.stderr
    seen = [body(tmp_path / f"l.{i}") for i in range(1, 5)]
    assert set(seen[:2]) == set(seen[2:]) == {"3 4,5", "3 6,7"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "expected a log file and a command"),
        (["log"], "expected a log file and a command"),
        (["JOB=1:2", "log", "true"], "JOB must stand in the name of the log"),
        (["JOB=3:2", "l.JOB", "true"], "expected 1 <= first <= last"),
        (["JOB=0:2", "l.JOB", "true"], "expected 1 <= first <= last"),
        (["--retries", "x", "l", "true"], "--retries x: expected a number"),
        (["--max-jobs-run", "0", "l", "true"], "expected at least 1"),
    ],
)
def test_calls_that_cannot_be_meant(tmp_path: Path, words: list[str], message: str) -> None:
    result = run(tmp_path, *words)
    assert result.returncode == 1
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_too_few_gpus(tmp_path: Path) -> None:
    result = run(tmp_path, "--gpu", "1", "l", "true", CUDA_VISIBLE_DEVICES="")
    assert result.returncode == 1
    assert "--gpu 1: 0 GPUs here" in result.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_ends_jobs_and_their_children(tmp_path: Path, number: signal.Signals) -> None:
    script = "sleep 9999 & echo $! > child.JOB; wait"
    words = ["--max-jobs-run", "2", "JOB=1:3", "l.JOB", "bash", "-c", script]
    process = subprocess.Popen(
        [sys.executable, str(UTILS / "run.py"), *words],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    )
    children = [tmp_path / "child.1", tmp_path / "child.2"]
    until(lambda: all(path.exists() and path.read_text() for path in children), process)
    process.send_signal(number)
    assert process.wait(LOST) == 130
    for path in children:
        pid = int(path.read_text())
        until(lambda pid=pid: not _runs(pid))
    assert not (tmp_path / "child.3").exists(), "a waiting job was started after the interrupt"


def test_under_nohup_jobs_outlive_their_terminal(tmp_path: Path) -> None:
    script = "echo $$ > started; until [ -e go ]; do sleep 0.1; done; echo done"
    process = subprocess.Popen(
        ["nohup", sys.executable, str(UTILS / "run.py"), "log", "bash", "-c", script],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        text=True,
    )
    started = tmp_path / "started"
    until(lambda: started.exists() and started.read_text(), process)
    os.killpg(process.pid, signal.SIGHUP)
    (tmp_path / "go").touch()
    assert process.wait(LOST) == 0
    assert body(tmp_path / "log") == "done"


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_more_nodes_than_this_one(tmp_path: Path) -> None:
    result = run(tmp_path, "--num-nodes", "2", "log", "true")
    assert result.returncode == 1
    assert "--num-nodes: this is one machine; take --cluster slurm, or 1" in result.stderr


def test_processors_are_counted_for_each_task(tmp_path: Path) -> None:
    """A job of as many tasks as there are processors runs alone."""
    tasks = str(len(os.sched_getaffinity(0)))
    script = "mkdir busy; sleep 0.2; rmdir busy"
    words = ["--num-tasks", tasks, "JOB=1:3", "l.JOB", "bash", "-ec", script]
    assert run(tmp_path, *words).returncode == 0


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR2"])
def test_a_signal_while_the_command_was_started_was_lost(tmp_path: Path, name: str) -> None:
    """Python drops what a handler raises while it forks, and the job went on."""
    script = f"""
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {str(UTILS)!r})
from run import Command
def stop(*_):
    raise SystemExit(3)
signal.signal(signal.SIGUSR2, stop)
os.register_at_fork(after_in_parent=lambda: os.kill(os.getpid(), signal.{name}))
Command("sleep 9999", Path("log"), 1).run(dict(os.environ), 1)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, timeout=LOST, capture_output=True, check=False
    )
    assert done.returncode == {"SIGTERM": 128 + signal.SIGTERM, "SIGUSR2": 3}[name]


def test_paths_that_hold_the_variable_were_others(tmp_path: Path) -> None:
    folder = tmp_path / "JOBS"
    words = ("JOB=1:2", str(folder / "x.JOB.log"), "echo", "JOB/2", "JOBp", str(folder))
    assert run(tmp_path, *words).returncode == 0
    assert body(folder / "x.2.log") == f"2/2 2p {folder}"
