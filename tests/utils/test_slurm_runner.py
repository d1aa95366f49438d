"""utils/run.py --cluster slurm against a pretended SLURM: four small scripts on PATH."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from waiting import LOST, until

UTILS = Path(__file__).resolve().parents[2] / "utils"

CONFIG = """# a comment
command sbatch --export=ALL
default time=2:00:00
option time=* --time=$0
option mem=* --mem $0
option num_threads=* -c $0   # and one here
option gpu=0
option gpu=* --gres=gpu:$0
default gpu=0
"""

# Keeps the script, and runs its jobs one after the other, each of which stands in `queue` until its
# end. Those that are named in `lost` never run.
SBATCH = """#!/bin/bash
id=$((16 + $(ls script.* 2>/dev/null | wc -l) + 1))
cp "$1" "script.$id"
array=$(sed -n 's/^#SBATCH --array=.*0-\\([0-9]*\\)%.*/\\1/p' "$1")
for number in $(seq 0 "${array:-0}"); do
    echo "$number $id${array:+_$number}"
done | grep -vwFf <(cat lost 2>/dev/null) > "jobs.$id"
cut -d ' ' -f 2 "jobs.$id" >> queue
while read -r number name; do
    [[ -z $array ]] || export SLURM_ARRAY_JOB_ID=$id SLURM_ARRAY_TASK_ID=$number
    SLURM_JOB_ID=$((id + number)) bash "script.$id"
    sed -i "/^$name\\$/d" queue
done < "jobs.$id" > said 2>&1 &
echo "Submitted batch job $id"
"""
SQUEUE = "#!/bin/bash\necho >> looked\ncat queue 2>/dev/null || true\n"


@pytest.fixture
def cluster(tmp_path: Path) -> Path:
    """A working directory with conf/slurm.conf and the commands in bin/."""
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/slurm.conf").write_text(CONFIG)
    command(tmp_path, "sbatch", SBATCH)
    command(tmp_path, "squeue", SQUEUE)
    command(tmp_path, "scancel", '#!/bin/bash\necho "$*" >> cancelled\n')
    command(tmp_path, "srun", "#!/bin/bash\n")
    return tmp_path


def command(folder: Path, name: str, script: str) -> None:
    (folder / "bin").mkdir(exist_ok=True)
    (folder / "bin" / name).write_text(script)
    (folder / "bin" / name).chmod(0o755)


def start(folder: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(UTILS / "run.py"), "--cluster", "slurm", "--grace", "1", *words],
        cwd=folder,
        env=os.environ | {"PATH": f"{folder}/bin:{os.environ['PATH']}"},
        stderr=subprocess.PIPE,
        text=True,
    )


def slurm(folder: Path, *words: str) -> tuple[int, str]:
    process = start(folder, *words)
    _, errors = process.communicate(LOST)
    return process.returncode, errors


def flags(folder: Path, job_id: int = 17) -> str:
    """What a submitted script tells sbatch, in one line."""
    script = (folder / f"script.{job_id}").read_text()
    return " ".join(re.findall("^#SBATCH (.*)", script, re.MULTILINE))


def looked(folder: Path, times: int, process: subprocess.Popen[str]) -> None:
    """Wait until the runner has asked for the queue so often, and is still there."""
    path = folder / "looked"
    until(lambda: path.exists() and len(path.read_text()) >= times, process)


def test_one_array_an_invocation_with_the_options_of_the_config(cluster: Path) -> None:
    words = ["--mem", "8G", "--num-threads", "2", "JOB=1:3", "--max-jobs-run", "2", "log/a.JOB.log"]
    code, errors = slurm(cluster, *words, "echo", "JOB")
    assert code == 0, errors
    assert "--array=0-2%2 " in flags(cluster) and "--job-name=a " in flags(cluster)
    # What the config says comes last, and so it overrides what submitit says of time.
    assert flags(cluster).endswith(" --export=ALL --mem 8G -c 2 --time=2:00:00")
    logs = [(cluster / f"log/a.{i}.log").read_text().splitlines() for i in (1, 2, 3)]
    assert [log[0] for log in logs] == ["# echo 1", "# echo 2", "# echo 3"]
    assert all(log[-1].startswith("# Ended (code 0) at ") for log in logs)
    left = [path.name for path in (cluster / "log").iterdir()]
    assert sorted(left) == ["a.1.log", "a.2.log", "a.3.log"]


def test_an_options_own_value_goes_before_the_star(cluster: Path) -> None:
    assert slurm(cluster, "--gpu", "1", "log", "true")[0] == 0
    assert slurm(cluster, "--gpu", "0", "log", "true")[0] == 0
    assert ["--gres=gpu:1" in flags(cluster, job_id) for job_id in (17, 18)] == [True, False]
    assert "--array" not in flags(cluster)


def test_only_failed_jobs_are_submitted_again(cluster: Path) -> None:
    script = "echo JOB >> runs.JOB; [ JOB != 2 ] || [ $(wc -l < runs.JOB) = 2 ]"
    code, errors = slurm(cluster, "--retries", "2", "JOB=1:3", "l.JOB", "bash", "-c", script)
    assert code == 0, errors
    assert [len((cluster / f"runs.{i}").read_text().split()) for i in (1, 2, 3)] == [1, 2, 1]
    assert not (cluster / "script.19").exists()
    assert "job 2 failed (exit code 1); l.2 ends:" in errors


def test_a_job_that_slurm_starts_again_goes_on_with_its_log(cluster: Path) -> None:
    command(
        cluster, "sbatch", SBATCH.replace("SLURM_JOB_ID=", "SLURM_RESTART_COUNT=1 SLURM_JOB_ID=")
    )
    (cluster / "log").write_text("said before\n")
    assert slurm(cluster, "log", "echo", "said again")[0] == 0
    assert [line for line in (cluster / "log").read_text().splitlines() if line[0] != "#"] == [
        "said before",
        "said again",
    ]


def test_a_job_whose_time_is_up_is_put_back_nine_times_at_most(cluster: Path) -> None:
    """Slurm's warning is the signal USR2; the tenth time, the job has failed."""
    command(cluster, "scontrol", '#!/bin/bash\necho "$*" >> requeued; touch again\n')
    command(
        cluster,
        "again",
        """#!/bin/bash
for _ in $(seq 20); do
    rm -f again
    env "$@"
    [[ -e again ]] || break
done
""",
    )
    script = SBATCH.replace("SLURM_JOB_ID=$((id + number)) bash", "again SLURM_JOB_ID=$id bash")
    command(cluster, "sbatch", script)
    words = ["log", "kill", "-USR2", "$PPID;", "sleep", "9999"]
    code, errors = slurm(cluster, *words)
    assert code == 1
    assert (cluster / "requeued").read_text().splitlines() == ["requeue 17"] * 9
    assert "job 1 failed (it ended without an exit code" in errors


def test_a_job_that_vanishes_has_failed(cluster: Path) -> None:
    (cluster / "lost").write_text("17_1\n")
    code, errors = slurm(cluster, "JOB=1:2", "l.JOB", "true")
    assert code == 1
    assert "job 2 failed (it ended without an exit code); l.2 was never written" in errors


def test_a_queued_job_is_waited_for_even_if_the_queue_is_silent(cluster: Path) -> None:
    (cluster / "lost").write_text("17\n")
    (cluster / "queue").write_text("17\n")
    process = start(cluster, "log", "true")
    looked(cluster, 1, process)
    command(cluster, "squeue", "#!/bin/bash\necho >> looked; echo timed out >&2; exit 1\n")
    looked(cluster, 2, process)
    (cluster / "queue").unlink()
    command(cluster, "squeue", SQUEUE)
    assert process.wait(LOST) == 1


def test_interrupt_cancels_what_was_submitted(cluster: Path) -> None:
    (cluster / "lost").write_text("17_0\n17_1\n")
    (cluster / "queue").write_text("17_0\n17_1\n")
    process = start(cluster, "JOB=1:2", "l.JOB", "true")
    looked(cluster, 1, process)
    process.send_signal(signal.SIGINT)
    assert process.wait(LOST) == 130
    assert (cluster / "cancelled").read_text() == "17\n"


def test_refused_submission_is_said(cluster: Path) -> None:
    command(cluster, "sbatch", "#!/bin/bash\necho 'sbatch: error: invalid partition' >&2; exit 1\n")
    code, errors = slurm(cluster, "log", "true")
    assert code == 1
    assert "invalid partition" in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("command sbatch\ndefault time=1\noption time=*", "says nothing of --mem 1G"),
        ("option mem=* --mem=$0\n", "conf/slurm.conf: no line 'command sbatch ...'"),
        ("command sbatch\nmem 3\n", "conf/slurm.conf:2: expected 'command sbatch', 'option'"),
        ("command ssh sbatch\n", "conf/slurm.conf:1: expected 'command sbatch', 'option'"),
        ("command sbatch\noption mem=*\n", "conf/slurm.conf: no limit of time; add 'default"),
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
    assert "Traceback" not in errors
