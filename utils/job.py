"""What run.py and slurm.py share: Kaldi's calling convention, a job's log, and failed jobs.

    [--option value ...] [JOB=1:N] log/x.JOB.log command ... JOB ...

Every `JOB` in the log's name and in the command becomes the job's number. Words without white
space reach bash as they are, so that `\\|` and `\\>` work as in Kaldi; others are quoted. As a
program, `job.py JOBS.json NUMBER` runs one of the jobs: it is what a cluster's node starts.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import FrameType
from typing import NoReturn

USAGE = """usage: {program} [options] [JOB=1:N] LOG COMMAND...
  --gpu N  --mem 8G  --num-threads N  --time D-HH:MM:SS   what one job needs
  --num-nodes N  --num-tasks N                            nodes, and processes on each of them
  --max-jobs-run N                                        at most N jobs at a time
  --retries N                                             start failed jobs again, N times
"""
TAIL_LINES = 12
TAILS = 8  # of how many failed jobs the log is shown


class JobError(Exception):
    """What keeps jobs from being started; the message is one line."""


class UsageError(JobError):
    """A command line that cannot be meant."""


@dataclass(frozen=True)
class Jobs:
    """One invocation: a command that runs once for each number from ``first`` to ``last``.

    ``variable`` is the word that stands for the number (``JOB``), empty for a single job.
    """

    options: dict[str, str]
    variable: str
    first: int
    last: int
    log: str
    command: str

    @property
    def numbers(self) -> list[int]:
        return list(range(self.first, self.last + 1))

    def log_of(self, number: int) -> Path:
        return Path(self._fill(self.log, number))

    def command_of(self, number: int) -> str:
        return self._fill(self.command, number)

    def integer(self, option: str, default: int) -> int:
        """An option's value as a number. Raises UsageError for anything else."""
        value = self.options.get(option, str(default))
        if not value.isdigit():
            raise UsageError(f"--{option.replace('_', '-')} {value}: expected a number")
        return int(value)

    def without(self, *options: str) -> Jobs:
        """The same jobs, less options that have been dealt with."""
        kept = {name: value for name, value in self.options.items() if name not in options}
        return replace(self, options=kept)

    def _fill(self, text: str, number: int) -> str:
        return text.replace(self.variable, str(number)) if self.variable else text


def parse(arguments: list[str]) -> Jobs:
    """Read a command line in Kaldi's convention; raises UsageError for what cannot be meant."""
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
            raise UsageError(f"{words[0]}: a value was expected after it, or it stands twice")
        variable, first, last = name, int(start), int(end or start)
        words = words[1:]
    if len(words) < 2 or words[0].startswith("-"):
        raise UsageError("expected a log file and a command")
    if not 1 <= first <= last:
        raise UsageError(f"{variable}={first}:{last}: expected 1 <= first <= last")
    if first < last and variable not in words[0]:
        raise UsageError(f"{words[0]}: {variable} must stand in the name of the log of many jobs")
    command = " ".join(
        word if re.fullmatch(r"\S+", word) else shlex.quote(word) for word in words[1:]
    )
    return Jobs(options, variable, first, last, words[0], command)


class RunningJob:
    """A job that was started: its log has a head, its command a process group of its own.

    ``again``: the same start once more, so that the log is continued.
    """

    def __init__(
        self, jobs: Jobs, number: int, environment: dict[str, str], again: bool = False
    ) -> None:
        self.log = jobs.log_of(number)
        self.threads = jobs.integer("num_threads", 1)
        self.begin = time.monotonic()
        self.log.parent.mkdir(parents=True, exist_ok=True)
        command = jobs.command_of(number)
        with open(self.log, "a" if again else "w", encoding="utf-8") as stream:
            stream.write(f"# {command}\n# Running on {socket.gethostname()}\n")
            stream.write(f"# Started at {_now()}\n#\n")
            stream.flush()
            self.process = subprocess.Popen(
                ["bash", "-o", "pipefail", "-c", command],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                env=os.environ | {"OMP_NUM_THREADS": str(self.threads)} | environment,
                start_new_session=True,
            )

    def wait(self) -> int:
        """Close the log and return the exit code, which is 128 + N where signal N was the end."""
        code = self.process.wait()
        code = 128 - code if code < 0 else code
        seconds = round(time.monotonic() - self.begin)
        with open(self.log, "a", encoding="utf-8") as stream:
            stream.write(f"# Accounting: time={seconds} threads={self.threads}\n")
            stream.write(f"# Ended (code {code}) at {_now()}, elapsed time {seconds} seconds\n")
        return code

    def signal(self, number: int) -> None:
        """Send a signal to the command and all its children."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)


def run_all(program: str, jobs: Jobs, attempt: Callable[[list[int]], dict[int, str]]) -> int:
    """Run all jobs, then failed ones again as often as ``--retries`` says; 0 if all ended well.

    ``attempt`` runs the jobs of these numbers and returns why each of those that failed did.
    """
    retries = jobs.integer("retries", 0)
    numbers = jobs.numbers
    for left in range(retries, -1, -1):
        reasons = attempt(numbers)
        numbers = sorted(reasons)
        if not numbers:
            return 0
        for number in numbers[:TAILS]:
            _say(f"{program}: job {number} failed ({reasons[number]}); {_tail(jobs, number)}")
        which = " ".join(map(str, numbers))
        then = "; starting only these again" if left else ""
        _say(f"{program}: {len(numbers)} of {len(jobs.numbers)} jobs failed: {which}{then}")
    return 1


def show_progress(program: str, done: int, total: int) -> None:
    """One line that rewrites itself, where somebody watches."""
    if sys.stderr.isatty():
        end = "\n" if done == total else ""
        print(f"\r{program}: {done} of {total} jobs done", end=end, file=sys.stderr, flush=True)


def main(program: str, backend: Callable[[Jobs], int]) -> NoReturn:
    """Parse the command line and hand the jobs to ``backend``; SIGTERM counts as Ctrl-C."""

    def interrupt(*_: int | FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGHUP, interrupt)
    try:
        sys.exit(backend(parse(sys.argv[1:])))
    except JobError as error:
        usage = f"\n{USAGE.format(program=program)}" if isinstance(error, UsageError) else ""
        _say(f"{program}: {error}{usage}")
        sys.exit(1)
    except KeyboardInterrupt:
        _say(f"{program}: interrupted; its jobs were stopped")
        sys.exit(130)


def save(path: Path, jobs: Jobs) -> None:
    path.write_text(json.dumps(asdict(jobs)), encoding="utf-8")


def load(path: Path) -> Jobs:
    return Jobs(**json.loads(path.read_text(encoding="utf-8")))


def _tail(jobs: Jobs, number: int) -> str:
    log = jobs.log_of(number)
    if not log.exists():
        return f"{log} was never written"
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL_LINES:]
    return "\n    ".join([f"{log} ends:", *lines])


def _now() -> str:
    return time.strftime("%a %b %d %H:%M:%S %Z %Y")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def run_for_slurm(path: Path, number: int) -> int:
    """Run one of the jobs in a file, and leave its exit code beside the file when it has ended."""
    exit_file = path.parent / f"{number}.exit"
    # SLURM may have stopped this job to start it here again.
    exit_file.unlink(missing_ok=True)
    again = "SLURM_RESTART_COUNT" in os.environ
    job = RunningJob(load(path), number, environment={}, again=again)
    signal.signal(signal.SIGTERM, lambda *_: job.signal(signal.SIGTERM))
    code = job.wait()
    temporary = exit_file.with_suffix(".tmp")
    temporary.write_text(str(code))
    temporary.replace(exit_file)
    return code


if __name__ == "__main__":
    sys.exit(run_for_slurm(Path(sys.argv[1]), int(sys.argv[2])))
