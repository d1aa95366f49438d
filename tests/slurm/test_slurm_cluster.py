"""utils/run.py --cluster slurm on a real one-node SLURM."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from waiting import LOST, until

pytestmark = pytest.mark.slurm

Environment = dict[str, str]


@pytest.fixture
def folder(tmp_path: Path, repository: Path) -> Path:
    """A working directory with the recipe's own conf/slurm.conf."""
    (tmp_path / "conf").mkdir()
    shutil.copy(repository / "egs/mls_en/conf/slurm.conf", tmp_path / "conf")
    return tmp_path


def call(folder: Path, environment: Environment, runner: str, *words: str) -> subprocess.Popen[str]:
    program = Path(__file__).resolve().parents[2] / "utils/run.py"
    extra = ["--cluster", runner, "--grace", "3"]
    return subprocess.Popen(
        [sys.executable, str(program), *extra, *words],
        cwd=folder,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    _, errors = process.communicate(timeout=LOST)
    return process.returncode, errors


def wait_for(path: Path) -> str:
    until(lambda: path.exists() and path.read_text())
    return path.read_text()


def queue(environment: Environment) -> list[str]:
    listing = subprocess.run(
        ["squeue", "--noheader", "--array", "--format=%A"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return listing.stdout.split()


def test_an_array_writes_the_same_bytes_as_the_local_runner(
    folder: Path, slurm_environment: Environment
) -> None:
    for runner in ("local", "slurm"):
        (folder / runner).mkdir()
        words = ["--mem", "100M", "JOB=1:5", f"log/{runner}.JOB.log", "printf", "%s \\\\n"]
        words += ["JOB", "two  words", "$OMP_NUM_THREADS", ">", f"{runner}/JOB.txt"]
        code, errors = finish(call(folder, slurm_environment, runner, *words))
        assert code == 0, errors
    for number in range(1, 6):
        here, cluster = (folder / f"{one}/{number}.txt" for one in ("local", "slurm"))
        assert here.read_bytes() == cluster.read_bytes()
    assert "two  words" in (folder / "slurm/3.txt").read_text()


def test_a_failed_job_is_reported_and_only_it_runs_again(
    folder: Path, slurm_environment: Environment
) -> None:
    script = "echo JOB >> runs.JOB; echo why; [ JOB != 2 ] || [ $(wc -l < runs.JOB) = 2 ]"
    words = ["--retries", "1", "JOB=1:3", "log/a.JOB.log", "bash", "-c", script]
    code, errors = finish(call(folder, slurm_environment, "slurm", *words))
    assert code == 0, errors
    assert "job 2 failed (exit code 1); log/a.2.log ends:" in errors and "    why" in errors
    assert [len((folder / f"runs.{i}").read_text().split()) for i in (1, 2, 3)] == [1, 2, 1]


def kill_command(folder: Path, environment: Environment) -> None:
    os.kill(int(wait_for(folder / "pid")), signal.SIGKILL)


def kill_all_of_the_job(folder: Path, environment: Environment) -> None:
    """As when memory runs out: what started the command dies with it, and nobody writes a code."""
    command = int(wait_for(folder / "pid"))
    parent = int(Path(f"/proc/{command}/stat").read_text().rsplit(")", 1)[1].split()[1])
    os.kill(parent, signal.SIGKILL)
    os.kill(command, signal.SIGKILL)


def cancel(folder: Path, environment: Environment) -> None:
    wait_for(folder / "pid")
    subprocess.run(["scancel", *queue(environment)], env=environment, check=True)


@pytest.mark.parametrize("end", [kill_command, kill_all_of_the_job, cancel])
def test_a_job_killed_midway_ends_right_when_submitted_again(
    folder: Path, slurm_environment: Environment, end: object
) -> None:
    # Without exec, a shell that outlives its sleep would go on to write the result.
    script = "if [ ! -e pid ]; then echo $$ > pid; exec sleep 9999; fi; echo whole > result"
    words = ["--retries", "1", "log/a.log", "exec", "bash", "-c", script]
    process = call(folder, slurm_environment, "slurm", *words)
    end(folder, slurm_environment)  # type: ignore[operator]
    code, errors = finish(process)
    assert code == 0, errors
    assert "1 of 1 jobs failed: 1; starting only these again" in errors
    assert (folder / "result").read_text() == "whole\n"
    assert (folder / "log/a.log").read_text().splitlines()[-1].startswith("# Ended (code 0)")


def time_is_up(environment: Environment, job: str) -> None:
    warning = ["scancel", "--batch", "--signal=USR2", job]  # as sbatch --signal=B:USR2@90 asks for
    subprocess.run(warning, env=environment, check=True)


def node_is_lost(environment: Environment, job: str) -> None:
    subprocess.run(["scontrol", "requeue", job], env=environment, check=True)


@pytest.mark.parametrize("end", [time_is_up, node_is_lost])
def test_a_job_put_back_into_the_queue_has_not_failed(
    folder: Path, slurm_environment: Environment, end: object
) -> None:
    """Though its command was killed; started again, it continues its log."""
    script = "if [ ! -e id ]; then echo $SLURM_JOB_ID > id; sleep 9999; fi; echo whole > result"
    words = ["X=4:5", "log/a.X.log", "cd", "X", "&&", "bash", "-c", script]
    for number in "45":
        (folder / number).mkdir()
    (folder / "5/id").touch()
    process = call(folder, slurm_environment, "slurm", *words)
    end(slurm_environment, wait_for(folder / "4/id").strip())  # type: ignore[operator]
    code, errors = finish(process)
    assert (code, errors) == (0, "")
    assert (folder / "4/result").read_text() == "whole\n"
    log = (folder / "log/a.4.log").read_text()
    assert log.count("# Started at ") == 2
    assert log.splitlines()[-1].startswith("# Ended (code 0)")


def test_ctrl_c_cancels_the_array(folder: Path, slurm_environment: Environment) -> None:
    words = ["JOB=1:4", "log/a.JOB.log", "bash", "-c", "touch started.JOB; sleep 9999"]
    process = call(folder, slurm_environment, "slurm", *words)
    until(lambda: list(folder.glob("started.*")), process)
    process.send_signal(signal.SIGINT)
    assert finish(process)[0] == 130
    until(lambda: not queue(slurm_environment))


def test_start_again_changes_nothing(repository: Path, slurm_environment: Environment) -> None:
    folder = Path(slurm_environment["SLURM_CONF"]).parent
    before = {name: (folder / name).read_text() for name in ("slurmctld.pid", "slurm.conf")}
    again = subprocess.run(
        [str(repository / "tools/slurm_local.sh"), "start", str(folder)],
        capture_output=True,
        text=True,
        timeout=LOST,
    )
    assert again.returncode == 0, again.stderr
    assert again.stdout == f"export SLURM_CONF={folder}/slurm.conf\n"
    assert {name: (folder / name).read_text() for name in before} == before
