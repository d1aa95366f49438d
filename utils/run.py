#!/usr/bin/env python3
"""Run jobs on this machine, in the place of Kaldi's run.pl; see job.py for the call.

As many jobs run at a time as there are processors (for `--num-threads` of `--num-tasks`) or GPUs
(for `--gpu`); each job with GPUs sees its own in CUDA_VISIBLE_DEVICES. `--mem`, `--time` and what
else a cluster would want to know are read and not used.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed

from job import Jobs, RunningJob, UsageError, main, run_all, show_progress

PROGRAM = "run.py"
TERM_SECONDS = 5.0  # for jobs to end by themselves before they are killed
STOPPED = 130


def gpus_here() -> list[str]:
    """Names of the GPUs that this process may use."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name for name in visible.split(",") if name]
    try:
        found = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return []
    return [str(i) for i, line in enumerate(found.stdout.splitlines()) if line.startswith("GPU")]


def slots(jobs: Jobs) -> list[dict[str, str]]:
    """One environment for each job that may run at a time; it names the job's own GPUs."""
    if jobs.integer("num_nodes", 1) > 1:
        raise UsageError("--num-nodes: this is one machine; take slurm.py, or 1")
    wanted = jobs.integer("gpu", 0)
    if wanted:
        gpus = gpus_here()
        if len(gpus) < wanted:
            raise UsageError(f"--gpu {wanted}: {len(gpus)} GPUs here; ask for fewer")
        groups = [gpus[i : i + wanted] for i in range(0, len(gpus) - wanted + 1, wanted)]
        limit = jobs.integer("max_jobs_run", len(groups))
        return [{"CUDA_VISIBLE_DEVICES": ",".join(group)} for group in groups[:limit]]
    processors = len(os.sched_getaffinity(0))
    wanted = jobs.integer("num_threads", 1) * jobs.integer("num_tasks", 1)
    fitting = processors // max(1, wanted)
    return [{} for _ in range(jobs.integer("max_jobs_run", max(1, fitting)))]


class Machine:
    """The jobs that run here, so that all of them can be stopped."""

    def __init__(self, jobs: Jobs) -> None:
        environments = slots(jobs)
        if not environments:
            raise UsageError("--max-jobs-run 0: expected at least 1")
        self.jobs = jobs
        self.count = len(environments)
        self.slots: queue.SimpleQueue[dict[str, str]] = queue.SimpleQueue()
        for environment in environments:
            self.slots.put(environment)
        self.running: set[RunningJob] = set()
        self.stopped = False
        self.lock = threading.Lock()

    def attempt(self, numbers: list[int]) -> dict[int, str]:
        """Run the jobs of these numbers; why each of those that failed did."""
        failed = {}
        with ThreadPoolExecutor(self.count) as pool:
            try:
                futures = {pool.submit(self.run, number): number for number in numbers}
                for done, future in enumerate(as_completed(futures), start=1):
                    if code := future.result():
                        failed[futures[future]] = f"exit code {code}"
                    show_progress(PROGRAM, done, len(numbers))
            except BaseException:
                self.stop()
                raise
        return failed

    def run(self, number: int) -> int:
        """Run one job in a free slot; its exit code."""
        environment = self.slots.get()
        try:
            with self.lock:
                if self.stopped:
                    return STOPPED
                job = RunningJob(self.jobs, number, environment)
                self.running.add(job)
            code = job.wait()
            self.running.discard(job)
            return code
        finally:
            self.slots.put(environment)

    def stop(self) -> None:
        """End all jobs with their children: politely, then for good."""
        with self.lock:
            self.stopped = True
        for job in list(self.running):
            job.signal(signal.SIGTERM)
        deadline = time.monotonic() + TERM_SECONDS
        while self.running and time.monotonic() < deadline:
            time.sleep(0.05)
        for job in list(self.running):
            job.signal(signal.SIGKILL)


if __name__ == "__main__":
    main(PROGRAM, lambda jobs: run_all(PROGRAM, jobs, Machine(jobs).attempt))
