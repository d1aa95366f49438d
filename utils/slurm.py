#!/usr/bin/env python3
"""Run jobs on a SLURM cluster, in the place of Kaldi's slurm.pl; see job.py for the call.

    --config FILE   what sbatch is told (default conf/slurm.conf), in Kaldi's format:
                        command sbatch --partition=long     the command itself
                        option mem=* --mem=$0               what --mem 8G adds
                        option gpu=0                        ... and --gpu 0, which adds nothing
                        default gpu=0                       as if --gpu 0 stood on the line
    --poll SECONDS  between two looks at the queue (default 5)
    --grace SECONDS until a job that left the queue without an exit code counts as lost (60)

An invocation is one job array, a retry an array of the failed numbers. A job that ends leaves its
exit code in a file beside the logs (in `q/`), so that no accounting database is needed. Submitted
jobs are cancelled where this program is interrupted.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from job import JobError, Jobs, main, run_all, save, show_progress

PROGRAM = "slurm.py"
FIRST_POLL = 0.25  # seconds
OWN_OPTIONS = ("config", "poll", "grace", "retries", "max_jobs_run")


def sbatch_command(config: Path, options: dict[str, str]) -> list[str]:
    """The words of the sbatch call that the config file makes of ``options``.

    Raises JobError naming the file and the line or option that it can't make sense of.
    """
    command: list[str] = []
    rules: dict[tuple[str, str], str] = {}
    defaults: dict[str, str] = {}
    try:
        lines = config.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise JobError(f"{config}: no such file; pass --config") from None
    for number, line in enumerate(lines, start=1):
        line = re.sub(r"\s*#.*", "", line).strip()
        if found := re.fullmatch(r"command (.+)", line):
            command = shlex.split(found[1])
        elif found := re.fullmatch(r"option ([^\s=]+)=(\S+)\s*(.*)", line):
            rules[found[1], found[2]] = found[3]
        elif found := re.fullmatch(r"default ([^\s=]+)=(\S+)", line):
            defaults[found[1]] = found[2]
        elif line:
            raise JobError(f"{config}:{number}: expected 'command', 'option' or 'default'")
    if not command:
        raise JobError(f"{config}: no line 'command sbatch ...'")
    for name, value in (defaults | options).items():
        rule = rules.get((name, value), rules.get((name, "*")))
        if rule is None:
            raise JobError(f"{config}: says nothing of --{name.replace('_', '-')} {value}")
        command += shlex.split(rule.replace("$0", value))
    return command


class JobArray:
    """One submission: the jobs of some numbers, and the folder in which they leave exit codes."""

    def __init__(self, jobs: Jobs, numbers: list[int], command: list[str]) -> None:
        self.waiting = set(numbers)
        self.failed: dict[int, str] = {}
        self.left_queue: dict[int, float] = {}
        log = Path(jobs.log)
        parent = log.parent / "q"
        parent.mkdir(parents=True, exist_ok=True)
        self.folder = Path(tempfile.mkdtemp(prefix=f"{log.stem}.", dir=parent)).absolute()
        save(self.folder / "jobs.json", jobs)
        self.job_id = self._submit(command, numbers, jobs)

    def _submit(self, command: list[str], numbers: list[int], jobs: Jobs) -> str:
        program = [sys.executable, str(Path(__file__).with_name("job.py").absolute())]
        script = shlex.join([*program, str(self.folder / "jobs.json")])
        (self.folder / "job.sh").write_text(f'#!/bin/bash\nexec {script} "$SLURM_ARRAY_TASK_ID"\n')
        limit = jobs.options.get("max_jobs_run")
        array = ",".join(map(str, numbers)) + (f"%{limit}" if limit else "")
        call = [*command, "--parsable", f"--array={array}", f"--job-name={Path(jobs.log).stem}"]
        output = [f"--output={self.folder}/slurm.%a", str(self.folder / "job.sh")]
        found = subprocess.run([*call, *output], capture_output=True, text=True, check=False)
        if found.returncode:
            raise JobError(f"{shlex.join(call)}: {found.stderr.strip()}")
        return found.stdout.strip().split(";")[0]

    def wait(self, poll: float, grace: float) -> dict[int, str]:
        """Until every job has ended or is lost; why each of those that failed did."""
        total, pause = len(self.waiting), FIRST_POLL
        while self.waiting:
            time.sleep(pause)
            pause = min(poll, 2 * pause)
            # The queue first: a job that ends between the two looks has left its exit code.
            queued = self._queued()
            self._collect(queued, grace)
            show_progress(PROGRAM, total - len(self.waiting), total)
        if not self.failed:
            shutil.rmtree(self.folder)
        return self.failed

    def _collect(self, queued: set[int] | None, grace: float) -> None:
        """Take the exit codes that have come, and give up jobs that are lost.

        A job that is still queued may have failed because SLURM took its node away; it will be
        started again.
        """
        for number in sorted(self.waiting):
            exit_file = self.folder / f"{number}.exit"
            code = exit_file.read_text() if exit_file.exists() else None
            if code == "0":
                self.waiting.discard(number)
            elif queued is None or number in queued:
                self.left_queue.pop(number, None)
            elif code is not None:
                self.waiting.discard(number)
                self.failed[number] = f"exit code {code}{self._said(number)}"
            elif time.monotonic() - self.left_queue.setdefault(number, time.monotonic()) >= grace:
                self.waiting.discard(number)
                self.failed[number] = f"it left the queue without an exit code{self._said(number)}"

    def _queued(self) -> set[int] | None:
        """Numbers that SLURM still has to start or to end; None where it does not answer."""
        call = ["squeue", "--noheader", "--array", f"--jobs={self.job_id}", "--format=%K"]
        found = subprocess.run(call, capture_output=True, text=True, check=False)
        if found.returncode:
            # SLURM forgets a job some minutes after its end.
            return set() if "Invalid job id" in found.stderr else None
        return {int(word) for word in found.stdout.split() if word.isdigit()}

    def _said(self, number: int) -> str:
        """The last line that SLURM itself wrote for a job, such as why it was cancelled."""
        path = self.folder / f"slurm.{number}"
        lines = path.read_text(errors="replace").split("\n") if path.exists() else []
        return "".join(f": {line}" for line in lines[-2:-1])

    def cancel(self) -> None:
        subprocess.run(["scancel", self.job_id], check=False)


def run_on_slurm(jobs: Jobs) -> int:
    poll, grace = jobs.integer("poll", 5), jobs.integer("grace", 60)
    config = Path(jobs.options.get("config", "conf/slurm.conf"))
    command = sbatch_command(config, jobs.without(*OWN_OPTIONS).options)

    def attempt(numbers: list[int]) -> dict[int, str]:
        array = JobArray(jobs, numbers, command)
        try:
            return array.wait(poll, grace)
        except BaseException:
            array.cancel()
            raise

    return run_all(PROGRAM, jobs, attempt)


if __name__ == "__main__":
    main(PROGRAM, run_on_slurm)
