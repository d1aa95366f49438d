"""Where run.py starts jobs, on this machine or under SLURM, both by submitit.

What submitit lacks: on one machine it starts all jobs at once and with the same GPUs, and lets a
terminal's Ctrl-C end its process but not the jobs; under SLURM it asks sacct alone how jobs stand,
which needs an accounting database; and it knows nothing of Kaldi's conf/slurm.conf.
"""

from __future__ import annotations

import getpass
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

os.environ.setdefault("SUBMITIT_LOG_LEVEL", "ERROR")  # read when it is imported
from submitit import Job, LocalExecutor, SlurmExecutor, SlurmJob
from submitit.core.utils import FailedJobError
from submitit.slurm.slurm import SlurmInfoWatcher

TERM_SECONDS = 5  # for jobs to end by themselves before they are killed
TERMINAL = {signal.SIGINT, signal.SIGHUP}  # what a terminal sends to all that was started from it
YEAR = 365 * 24 * 60  # minutes
# What run.py is told, and not sbatch.
OWN_OPTIONS = {"cluster", "config", "grace", "retries", "max_jobs_run"}


class RunError(Exception):
    """What keeps jobs from being started; the message is one line."""


def integer(options: Mapping[str, str], name: str, default: int) -> int:
    """An option's value as a number. Raises RunError for anything else."""
    value = options.get(name, str(default))
    if not value.isdecimal():
        raise RunError(f"--{name.replace('_', '-')} {value}: expected a number")
    return int(value)


class Machine:
    """This machine: a job starts when processors or, with --gpu, GPUs are free."""

    grace = 0  # seconds until the result of a job that has ended can be read

    def __init__(self, options: Mapping[str, str], folder: Path) -> None:
        self.free = slots(options)
        self.taken: dict[str, str | None] = {}
        self.executor = LocalExecutor(folder)
        self.executor.update_parameters(timeout_min=YEAR, stderr_to_stdout=True)

    def start(self, commands: list[Callable[..., int]]) -> list[Job[int]]:
        """Start as many of these as there is room for."""
        started = []
        for command in commands[: len(self.free)]:
            gpus = self.free.pop(0)
            signal.pthread_sigmask(signal.SIG_BLOCK, TERMINAL)  # which the process inherits
            started.append(self.executor.submit(command, gpus))
            signal.pthread_sigmask(signal.SIG_UNBLOCK, TERMINAL)
            self.taken[started[-1].job_id] = gpus
        return started

    def release(self, job: Job[int]) -> None:
        self.free.append(self.taken.pop(job.job_id))

    def stop(self, running: list[Job[int]]) -> None:
        """End jobs with their children."""
        deadline = time.monotonic() + 2 * TERM_SECONDS
        while (alive := [job for job in running if not job.done()]) and time.monotonic() < deadline:
            for job in alive:
                os.kill(int(job.job_id), signal.SIGTERM)
            time.sleep(0.1)


def slots(options: Mapping[str, str]) -> list[str | None]:
    """Of each job that may run at a time, the GPUs: its own, or what all inherit."""
    if integer(options, "num_nodes", 1) > 1:
        raise RunError("--num-nodes: this is one machine; take --cluster slurm, or 1")
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if wanted := integer(options, "gpu", 0):
        gpus = gpus_here() if visible is None else [name for name in visible.split(",") if name]
        if len(gpus) < wanted:
            raise RunError(f"--gpu {wanted}: {len(gpus)} GPUs here; ask for fewer")
        starts = range(0, len(gpus) - wanted + 1, wanted)
        groups = [",".join(gpus[start : start + wanted]) for start in starts]
        return list(groups[: integer(options, "max_jobs_run", len(groups))])
    wanted = integer(options, "num_threads", 1) * integer(options, "num_tasks", 1)
    fitting = max(1, len(os.sched_getaffinity(0)) // max(1, wanted))
    return [visible] * integer(options, "max_jobs_run", fitting)


def gpus_here() -> list[str]:
    if not shutil.which("nvidia-smi"):
        return []
    found = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
    return [str(i) for i, _ in enumerate(re.findall("^GPU", found.stdout, re.MULTILINE))]


class Queue(SlurmInfoWatcher):
    """How jobs stand, by squeue: one that is listed will start, or start again, or end."""

    def _make_command(self) -> list[str]:
        user = f"--user={getpass.getuser()}"
        return ["squeue", "--noheader", "--array", "--format=%i", user]

    def read_info(self, string: bytes | str) -> dict[str, dict[str, str]]:
        queued = set((string if isinstance(string, str) else string.decode()).split())
        return {
            job_id: {"State": "RUNNING" if job_id in queued else "GONE"}
            for job_id in self._registered
        }


class Cluster:
    """SLURM: all jobs are submitted at once, as an array."""

    def __init__(self, options: Mapping[str, str], folder: Path) -> None:
        self.options = options
        self.grace = integer(options, "grace", 60)  # shared disks may be slow
        flags = sbatch_flags(options)
        if not shutil.which("sbatch") or not shutil.which("srun"):
            raise RunError("--cluster slurm: no sbatch and srun here")
        SlurmJob.watcher = Queue(delay_s=60)
        # SLURM warns the batch script (B:) of its end; by exec, that is submitit.
        self.executor = SlurmExecutor(folder, python=f"exec {shlex.quote(sys.executable)}")
        self.executor.update_parameters(
            job_name=folder.name.split(".")[1],
            time=YEAR,  # which what the config says of --time, and comes later, overrides
            wckey=None,
            stderr_to_stdout=True,
            use_srun=False,  # a command that wants several tasks calls srun itself
            setup=["#SBATCH --signal=B:USR2@90", f"#SBATCH {shlex.join(flags)}"],
        )

    def start(self, commands: list[Callable[..., int]]) -> list[Job[int]]:
        """Submit all of these. Raises RunError where sbatch refuses them."""
        if not commands:
            return []
        limit = integer(self.options, "max_jobs_run", len(commands))
        self.executor.update_parameters(array_parallelism=limit)
        try:
            return self.executor.submit_array(commands)
        except FailedJobError as error:
            raise RunError(f"sbatch: {error}") from None

    def release(self, job: Job[int]) -> None:
        pass

    def stop(self, running: list[Job[int]]) -> None:
        for array in {job.job_id.split("_")[0] for job in running}:
            subprocess.run(["scancel", array], check=False)


def sbatch_flags(options: Mapping[str, str]) -> list[str]:
    """What conf/slurm.conf makes of the options, in the format of Kaldi's slurm.pl.

    Raises RunError naming the file and the line or option that it can't make sense of.
    """
    path = Path(options.get("config", "conf/slurm.conf"))
    wanted = {name: value for name, value in options.items() if name not in OWN_OPTIONS}
    rules: dict[str, list[str]] = {}
    flags: list[str] | None = None
    if not path.exists():
        raise RunError(f"{path}: no such file; pass --config")
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        match shlex.split(line, comments=True):
            case []:
                pass
            case ["command", "sbatch", *flags]:
                pass
            case ["option", rule, *added] if "=" in rule:
                rules[rule] = added
            case ["default", default] if "=" in default:
                wanted.setdefault(*default.split("=", 1))
            case _:
                raise RunError(f"{path}:{number}: expected 'command sbatch', 'option' or 'default'")
    if flags is None:
        raise RunError(f"{path}: no line 'command sbatch ...'")
    if "time" not in wanted:
        raise RunError(f"{path}: no limit of time; add 'default time=1-00:00:00', or pass --time")
    for name, value in wanted.items():
        found = rules.get(f"{name}={value}", rules.get(f"{name}=*"))
        if found is None:
            raise RunError(f"{path}: says nothing of --{name.replace('_', '-')} {value}")
        flags += [word.replace("$0", value) for word in found]
    return flags
