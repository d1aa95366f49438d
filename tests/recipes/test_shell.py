"""Every shell script passes shellcheck and is executable, unless it is one to be sourced."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SOURCED = {"db.sh", "path.sh", "cmd.sh", "parse_options.sh", "debian.sh", "installer.sh"}
SOURCED |= {"settings.sh", "recipe.sh", "jobs.sh", "stages.sh"}


def shell_scripts() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.sh", ".ci/run"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    return sorted(Path(line) for line in listed.stdout.splitlines())


@pytest.mark.parametrize("script", shell_scripts(), ids=str)
def test_shellcheck(script: Path) -> None:
    # Scripts source each other by paths beside themselves.
    options = [
        "--external-sources",
        "--source-path=SCRIPTDIR",
        "--source-path=utils",
        "--source-path=.",
    ]
    command = [Path(sys.executable).with_name("shellcheck"), *options, script]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("script", shell_scripts(), ids=str)
def test_executable_unless_sourced(script: Path) -> None:
    assert os.access(REPOSITORY / script, os.X_OK) == (script.name not in SOURCED)


def test_a_lone_job_of_a_list_had_one_thread(tmp_path: Path) -> None:
    """The runner gives each job --num-threads, whatever the environment said."""
    script = f"""
    set -euo pipefail
    exp={tmp_path} dry_run=false nj=$1 cpu_cmd=()
    . utils/jobs.sh
    line='echo "$OMP_NUM_THREADS threads, 60 utterances to score"'
    for _ in $(seq "$2"); do echo "$line"; done | job_array cpu x
    """
    processors = len(os.sched_getaffinity(0))
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    for jobs, threads in ((1, processors), (processors, 1), (2 * processors, 1)):
        done = subprocess.run(
            ["bash", "-c", script, "bash", str(processors), str(jobs)],
            cwd=REPOSITORY,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.count(f"{threads} threads, ") == jobs


def test_a_recipe_beside_another_took_the_lines_of_its_jobs(tmp_path: Path) -> None:
    """Both may train recognisers in one folder, each with a list of its own."""
    script = f"""
    set -euo pipefail
    exp={tmp_path} dry_run=false nj=1 cpu_cmd=()
    . utils/jobs.sh
    other() {{ echo 'touch {tmp_path}/other' | job_array cpu x; }}
    export -f other run job_array
    export exp dry_run nj
    {{
      echo 'cpu_cmd=(); other' # here the other recipe begins
      echo 'touch {tmp_path}/second'
    }} | job_array cpu x
    """
    subprocess.run(["bash", "-c", script], cwd=REPOSITORY, capture_output=True, check=True)
    assert {one.name for one in tmp_path.iterdir()} >= {"other", "second"}
