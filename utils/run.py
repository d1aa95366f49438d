#!/usr/bin/env python3
"""Run jobs on this machine or on a SLURM cluster, called like Kaldi's run.pl and slurm.pl:

    run.py [options] [JOB=1:N] log/x.JOB.log command ... JOB ...

    --gpu N  --mem 8G  --num-threads N  --time D-HH:MM:SS   what one job needs
    --num-nodes N  --num-tasks N                            nodes, and processes on each of them
    --max-jobs-run N                                        at most N jobs at a time
    --retries N                                             start failed jobs again, N times
    --cluster slurm                                         submit to SLURM, and there:
    --config FILE    what sbatch is told (conf/slurm.conf), in the format of Kaldi's slurm.pl
    --grace SECONDS  until a job that left the queue without an exit code counts as lost (60)

Every `JOB` in the log's name and in the command becomes the job's number. Words without white
space reach bash as they are, so that `\\|` and `\\>` work as in Kaldi; others are quoted. Under
SLURM, a job whose time is up is put back into the queue, and its command has to go on by itself.

submitit starts, submits and requeues jobs, and hands back their exit codes (see executors.py). Here
is what it lacks: Kaldi's calls and logs, retries of failed jobs, an end to all of them at Ctrl-C.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

from executors import TERM_SECONDS, TERMINAL, Cluster, Machine, RunError, integer
from submitit import Job
from submitit.core.utils import DelayedSubmission, pickle_load

STOPPING = {signal.SIGTERM, signal.SIGUSR2}  # whose handlers raise, ours and submitit's
DATE = "%a %b %d %H:%M:%S %Z %Y"
TAIL_LINES, TAILS = 12, 8  # lines of a failed job's log, and of how many jobs they are shown


@dataclass(frozen=True)
class Command:
    """A line of bash as one job; submitit pickles it, and calls it where the job runs."""

    text: str
    log: Path
    threads: int
    requeues: int = 9  # as often may its time be up

    def __call__(self, gpus: str | None = None) -> int:
        """Run it with a log like Kaldi's; its exit code, which is 128 + N if signal N ended it."""
        environment = os.environ | {"OMP_NUM_THREADS": str(self.threads)}
        if environment["SUBMITIT_EXECUTOR"] == "local":  # which hides all GPUs
            del environment["CUDA_VISIBLE_DEVICES"]
            environment |= {} if gpus is None else {"CUDA_VISIBLE_DEVICES": gpus}
        code, begin = 128 + signal.SIGTERM, time.monotonic()
        self.log.parent.mkdir(parents=True, exist_ok=True)
        again = "SLURM_RESTART_COUNT" in os.environ
        with open(self.log, "a" if again else "w", encoding="utf-8") as stream:
            stream.write(f"# {self.text}\n# Running on {socket.gethostname()}\n")
            stream.write(f"# Started at {time.strftime(DATE)}\n#\n")
            stream.flush()
            try:
                code = self.run(environment, stream.fileno())
            finally:
                seconds = round(time.monotonic() - begin)
                stream.write(f"# Accounting: time={seconds} threads={self.threads}\n")
                stream.write(f"# Ended (code {code}) at {time.strftime(DATE)}, ")
                stream.write(f"elapsed time {seconds} seconds\n")
        return code

    def run(self, environment: dict[str, str], output: int) -> int:
        def stop(*_: object) -> NoReturn:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            sys.exit(128 + signal.SIGTERM)

        signal.signal(signal.SIGTERM, stop)
        # Only once the command can be stopped: what is raised while Python forks is lost.
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
        process = subprocess.Popen(
            ["bash", "-o", "pipefail", "-c", self.text],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
            preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, TERMINAL | STOPPING),
        )
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
            code = process.wait()
            if code < 0:
                time.sleep(1)  # whoever stops this job may have begun with the command
        except BaseException:  # stopped by run.py or SLURM, or put back into the queue by submitit
            with suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.killpg(process.pid, signal.SIGTERM)
                process.wait(TERM_SECONDS)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
        return 128 - code if code < 0 else code

    def checkpoint(self, *arguments: object) -> DelayedSubmission | None:
        """What submitit requeues when time is up: the same, as commands go on where they were."""
        if not self.requeues:
            return None
        return DelayedSubmission(replace(self, requeues=self.requeues - 1), *arguments)


def parse(arguments: list[str]) -> tuple[dict[str, str], dict[int, Command]]:
    """Options, and the job of each number. Raises RunError for what cannot be meant."""
    words = list(arguments)
    options: dict[str, str] = {}
    variable, first, last = "", 1, 1
    while words and (found := re.fullmatch(r"--(.+)|(\w+)=(\d+)(?::(\d+))?", words[0])):
        option, name, start, end = found.groups()
        if option and len(words) > 1:
            options[option.replace("-", "_")] = words[1]
            words = words[2:]
            continue
        if option or variable:
            raise RunError(f"{words[0]}: a value was expected after it, or it stands twice")
        variable, first, last = name, int(start), int(end or start)
        words = words[1:]
    if len(words) < 2 or words[0].startswith("-"):
        raise RunError("expected a log file and a command; see run.py --help")
    if not 1 <= first <= last:
        raise RunError(f"{variable}={first}:{last}: expected 1 <= first <= last")
    if first < last and variable not in words[0]:
        raise RunError(f"{words[0]}: {variable} must stand in the name of the log of many jobs")
    text = " ".join(word if re.fullmatch(r"\S+", word) else shlex.quote(word) for word in words[1:])

    def fill(template: str, number: int) -> str:
        # Not within a word, as in /data/JOBS; but sed -n JOBp is meant.
        own = rf"(?<![A-Za-z]){re.escape(variable)}(?![A-Z])"
        return re.sub(own, str(number), template) if variable else template

    threads = integer(options, "num_threads", 1)
    return options, {
        number: Command(fill(text, number), Path(fill(words[0], number)), threads)
        for number in range(first, last + 1)
    }


def run_once(
    backend: Machine | Cluster, commands: dict[int, Command], interrupted: list[int]
) -> dict[int, str]:
    """Run these jobs; why each of those that failed did.

    Raises KeyboardInterrupt, after all were stopped, once there is a signal in ``interrupted``.
    """
    waiting, failed = list(commands), {}
    running: dict[int, Job[int]] = {}
    lost: dict[int, float] = {}  # since when
    while waiting or running:
        if interrupted:
            backend.stop(list(running.values()))
            raise KeyboardInterrupt
        started = backend.start([commands[number] for number in waiting])
        running |= zip(waiting, started, strict=False)
        waiting = waiting[len(started) :]
        time.sleep(0.05)
        for number in [number for number, job in running.items() if job.done()]:
            now = time.monotonic()
            found = running[number].paths.result_pickle.exists()
            if not found and now - lost.setdefault(number, now) < backend.grace:
                continue
            backend.release(running[number])
            if reason := why_failed(running.pop(number)):
                failed[number] = reason
            if sys.stderr.isatty():
                done = len(commands) - len(waiting) - len(running)
                print(f"\rrun.py: {done} of {len(commands)} jobs done ", end="", file=sys.stderr)
    return failed


def why_failed(job: Job[int]) -> str:
    """Empty for a job that went well."""
    path, output = job.paths.result_pickle, job.paths.stdout
    kind, code = pickle_load(path) if path.exists() else ("lost", None)
    if kind == "success":
        return f"exit code {code}" if code else ""
    said = output.read_text(errors="replace").splitlines() if output.exists() else []
    return ": ".join(["it ended without an exit code", *said[-1:]])


def run(arguments: list[str], interrupted: list[int]) -> int:
    """Run all jobs, then failed ones again as often as --retries says; 0 if all ended well."""
    options, commands = parse(arguments)
    retries, cluster = integer(options, "retries", 0), options.get("cluster", "local")
    if cluster not in ("local", "slurm"):
        raise RunError(f"--cluster {cluster}: expected local or slurm")
    if integer(options, "max_jobs_run", 1) < 1:
        raise RunError("--max-jobs-run 0: expected at least 1")
    log = commands[min(commands)].log
    log.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        prefix=f".{log.stem}.", dir=log.parent, ignore_cleanup_errors=True
    ) as folder:
        backend = (Cluster if cluster == "slurm" else Machine)(options, Path(folder))
        numbers = list(commands)
        for left in range(retries, -1, -1):
            failed = run_once(
                backend, {number: commands[number] for number in numbers}, interrupted
            )
            numbers = sorted(failed)
            for number in numbers[:TAILS]:
                say(f"job {number} failed ({failed[number]}); {tail(commands[number].log)}")
            if not numbers:
                return 0
            which = " ".join(map(str, numbers)) + ("; starting only these again" if left else "")
            say(f"{len(numbers)} of {len(commands)} jobs failed: {which}")
    return 1


def tail(log: Path) -> str:
    if not log.exists():
        return f"{log} was never written"
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL_LINES:]
    return "\n    ".join([f"{log} ends:", *lines])


def say(text: str) -> None:
    print(f"run.py: {text}", file=sys.stderr, flush=True)


def main() -> int:
    if sys.argv[1:] == ["--help"]:
        print(__doc__)
        return 0
    interrupted: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as it is under nohup
            signal.signal(number, lambda received, _: interrupted.append(received))
    try:
        return run(sys.argv[1:], interrupted)
    except RunError as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        say("interrupted; its jobs were stopped")
        return 130


if __name__ == "__main__":
    sys.exit(main())
