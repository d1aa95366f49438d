"""utils/slurm.py against a pretended SLURM: three small scripts on PATH."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

UTILS = Path(__file__).resolve().parents[2] / "utils"

CONFIG = """# a comment
command sbatch --export=ALL
option mem=* --mem=$0
option num_threads=* --cpus-per-task=$0   # and one here
option gpu=0
option gpu=* --gres=gpu:$0
default gpu=0
"""

# Runs the array at once, one after the other, and notes its call. Numbers in `lost` never run.
SBATCH = """#!/bin/bash
echo "$*" >> calls
for word; do case $word in --array=*) array=${word#--array=};; esac; script=$word; done
for number in $(tr , ' ' <<< "${array%\\%*}"); do
    grep -qx "$number" lost 2>/dev/null && continue
    SLURM_ARRAY_TASK_ID=$number bash "$script" > /dev/null 2>&1
done
echo "17;cluster"
"""


@pytest.fixture
def cluster(tmp_path: Path) -> Path:
    """A working directory with conf/slurm.conf and the three commands in bin/."""
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/slurm.conf").write_text(CONFIG)
    command(tmp_path, "sbatch", SBATCH)
    command(tmp_path, "squeue", "#!/bin/bash\ncat queue 2>/dev/null || true\n")
    command(tmp_path, "scancel", '#!/bin/bash\necho "$*" >> cancelled\n')
    return tmp_path


def command(folder: Path, name: str, script: str) -> None:
    (folder / "bin").mkdir(exist_ok=True)
    (folder / "bin" / name).write_text(script)
    (folder / "bin" / name).chmod(0o755)


def start(folder: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(UTILS / "slurm.py"), "--poll", "1", "--grace", "1", *words],
        cwd=folder,
        env=os.environ | {"PATH": f"{folder}/bin:{os.environ['PATH']}"},
        stderr=subprocess.PIPE,
        text=True,
    )


def slurm(folder: Path, *words: str) -> tuple[int, str]:
    process = start(folder, *words)
    _, errors = process.communicate(timeout=30)
    return process.returncode, errors


def calls(folder: Path) -> list[str]:
    return (folder / "calls").read_text().splitlines()


def test_one_array_an_invocation_with_the_options_of_the_config(cluster: Path) -> None:
    words = ["--mem", "8G", "--num-threads", "2", "JOB=1:3", "--max-jobs-run", "2", "log/a.JOB.log"]
    code, errors = slurm(cluster, *words, "echo", "JOB")
    assert code == 0, errors
    (call,) = calls(cluster)
    assert call.startswith("--export=ALL --mem=8G --cpus-per-task=2 --parsable --array=1,2,3%2 ")
    logs = [(cluster / f"log/a.{i}.log").read_text().splitlines() for i in (1, 2, 3)]
    assert [log[0] for log in logs] == ["# echo 1", "# echo 2", "# echo 3"]
    assert all(log[-1].startswith("# Ended (code 0) at ") for log in logs)
    assert list((cluster / "log/q").iterdir()) == [], "a submission that went well leaves nothing"


def test_an_options_own_value_goes_before_the_star(cluster: Path) -> None:
    assert slurm(cluster, "--gpu", "1", "log", "true")[0] == 0
    assert slurm(cluster, "--gpu", "0", "log", "true")[0] == 0
    assert ["--gres=gpu:1" in call for call in calls(cluster)] == [True, False]


def test_only_failed_jobs_are_submitted_again(cluster: Path) -> None:
    script = "echo JOB >> runs.JOB; [ JOB != 2 ] || [ $(wc -l < runs.JOB) = 2 ]"
    code, errors = slurm(cluster, "--retries", "2", "JOB=1:3", "l.JOB", "bash", "-c", script)
    assert code == 0, errors
    assert [call.split("--array=")[1].split()[0] for call in calls(cluster)] == ["1,2,3", "2"]
    assert "job 2 failed (exit code 1); l.2 ends:" in errors


def test_a_job_that_slurm_starts_again_goes_on_with_its_log(cluster: Path) -> None:
    sbatch = SBATCH.replace("SLURM_ARRAY", "SLURM_RESTART_COUNT=1 SLURM_ARRAY")
    command(cluster, "sbatch", sbatch)
    (cluster / "log").write_text("said before\n")
    assert slurm(cluster, "log", "echo", "said again")[0] == 0
    assert [line for line in (cluster / "log").read_text().splitlines() if line[0] != "#"] == [
        "said before",
        "said again",
    ]


def test_a_job_that_vanishes_is_failed_after_the_grace(cluster: Path) -> None:
    (cluster / "lost").write_text("2\n")
    code, errors = slurm(cluster, "JOB=1:2", "l.JOB", "true")
    assert code == 1
    assert "job 2 failed (it left the queue without an exit code); l.2 was never written" in errors


def test_a_queued_job_is_waited_for(cluster: Path) -> None:
    (cluster / "lost").write_text("1\n")
    (cluster / "queue").write_text("1\n")
    process = start(cluster, "log", "true")
    time.sleep(3)
    assert process.poll() is None
    (cluster / "queue").unlink()
    assert process.wait(timeout=20) == 1


def test_a_silent_queue_is_no_reason_to_give_up(cluster: Path) -> None:
    (cluster / "lost").write_text("1\n")
    command(cluster, "squeue", "#!/bin/bash\necho slurm_load_jobs error: timed out >&2; exit 1\n")
    process = start(cluster, "log", "true")
    time.sleep(3)
    assert process.poll() is None
    command(cluster, "squeue", "#!/bin/bash\necho error: Invalid job id specified >&2; exit 1\n")
    assert process.wait(timeout=20) == 1


def test_interrupt_cancels_what_was_submitted(cluster: Path) -> None:
    (cluster / "lost").write_text("1\n")
    (cluster / "queue").write_text("1\n")
    process = start(cluster, "log", "true")
    deadline = time.monotonic() + 10
    while not (cluster / "calls").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=10) == 130
    assert (cluster / "cancelled").read_text() == "17\n"


def test_refused_submission_is_one_line(cluster: Path) -> None:
    command(cluster, "sbatch", "#!/bin/bash\necho 'sbatch: error: invalid partition' >&2; exit 1\n")
    code, errors = slurm(cluster, "log", "true")
    assert code == 1
    assert "invalid partition" in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("command sbatch\n", "conf/slurm.conf: says nothing of --mem 1G"),
        ("option mem=* --mem=$0\n", "conf/slurm.conf: no line 'command sbatch ...'"),
        ("command sbatch\nmem 3\n", "conf/slurm.conf:2: expected 'command', 'option' or 'default'"),
        (None, "conf/slurm.conf: no such file; pass --config"),
    ],
)
def test_config_that_cannot_be_used(cluster: Path, config: str | None, message: str) -> None:
    path = cluster / "conf/slurm.conf"
    path.unlink()
    if config is not None:
        path.write_text(config)
    code, errors = slurm(cluster, "--mem", "1G", "log", "true")
    assert code == 1
    assert message in errors
