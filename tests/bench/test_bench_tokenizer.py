"""How fast and in how much memory a recording is tokenized, and how long a streamed unit takes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from entcomp.pipelines.tokenizer import Tokenizer

PROMPTS = Path(__file__).resolve().parents[1] / "fixtures" / "prompts"
# The memory's peak is the process's own word: rusage counts what its parent held at the fork, too.
CODE = """
import atexit, os, pathlib
status = pathlib.Path("/proc/self/status")
atexit.register(lambda: pathlib.Path(os.environ["STATUS"]).write_text(status.read_text()))
from entcomp.cli.app import main
main()
"""
COMMAND = (sys.executable, "-c", CODE, "tokenize")
RATE = 48_000


def speech(path: Path, seconds: int) -> Path:
    """Prompts one after the other, in stereo at 48 kHz, which has to be resampled."""
    left = seconds * RATE
    with soundfile.SoundFile(path, "w", RATE, 2, "PCM_16") as stream:
        while left > 0:
            for source in sorted(PROMPTS.glob("*.opus")):
                samples, rate = soundfile.read(source, dtype="float32")
                repeated = np.repeat(samples, RATE // rate)[:left, None]
                stream.write(np.repeat(repeated, 2, axis=1))
                left -= len(repeated)
                if left <= 0:
                    break
    return path


def tokenize(path: Path) -> tuple[dict[str, Any], float, float, float]:
    """What the command prints, seconds that it takes, those of CPU time, and its peak in MB."""
    out, status, begin = path.with_suffix(".json"), path.with_suffix(".status"), time.monotonic()
    command = [*COMMAND, str(path), "-o", str(out)]
    environment = os.environ | {"STATUS": str(status)}
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=environment)
    _, code, usage = os.wait4(process.pid, 0)
    assert code == 0
    took, cpu = time.monotonic() - begin, usage.ru_utime + usage.ru_stime
    (peak,) = (one.split()[1] for one in status.read_text().splitlines() if "VmHWM" in one)
    return json.loads(out.read_text()), took, cpu, int(peak) / 1024


@pytest.mark.bench
@pytest.mark.parametrize("seconds", [2, 180, 3600])
def test_a_recording(tmp_path: Path, seconds: int) -> None:
    """From the command to its output, start-up included; the second time."""
    path = speech(tmp_path / "a.wav", seconds)
    for _ in range(2):
        found, took, cpu, peak = tokenize(path)
    print(
        f"\n{seconds} s at 48 kHz, stereo: {took:.2f} s, {cpu:.2f} s of CPU time "
        f"({seconds / cpu:.0f} x real time); at most {peak:.0f} MB, {found['rate']:.2f} Hz"
    )
    assert found["duration"] == seconds
    assert peak < 600


@pytest.mark.bench
def test_a_unit() -> None:
    """The slowest units are those at which a new span begins."""
    tokenizer = Tokenizer.from_pretrained()
    stream = tokenizer.stream(tokenizer.rule())
    units = np.random.default_rng(0).integers(0, 500, 1500)
    times = []
    for unit in units:
        begin = time.perf_counter()
        stream.push([unit])
        times.append(1000 * (time.perf_counter() - begin))
    middle, late, most = np.median(times), np.quantile(times, 0.99), max(times)
    print(f"\n{middle:.2f} ms a unit, 99%: {late:.2f} ms, slowest: {most:.0f} ms")
    assert middle < 1000 * tokenizer.info.frame_shift
