"""How fast and in how much memory an hour is tokenized, and how long a streamed unit takes."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from entcomp.artifacts.packing import DEFAULT_MODEL, PRETRAINED
from entcomp.pipelines.tokenizer import Tokenizer

SCRIPT = """
import json, os, resource, sys, time
start = time.monotonic()
from pathlib import Path
import numpy as np
from entcomp.audio.read import iter_wav
from entcomp.pipelines.tokenizer import Tokenizer
from entcomp.units.stream import Recording

path = Path(sys.argv[1])
tokenizer = Tokenizer.from_pretrained()
rule = tokenizer.rule()
tokenizer.encode(np.zeros(16000), 16000, rule=rule)  # what is loaded when first needed
begin, cpu = time.monotonic(), time.process_time()
source = Recording("a", iter_wav(path, tokenizer.info.sample_rate))
((_, found),) = tokenizer.encode_recordings([source], rule, os.cpu_count())
took, cpu = time.monotonic() - begin, time.process_time() - cpu
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
speeds = {"speed": found.duration / took, "a core": found.duration / cpu}
print(json.dumps({"start": begin - start, **speeds, "peak": peak, "rate": found.rate}))
"""


def speech(shared_data: Path, path: Path, seconds: int, rate: int, channels: int) -> Path:
    """Utterances of many speakers one after the other, at a rate of our choice."""
    folder = shared_data / "speechocean762" / "train" / "opus"
    left = seconds * 16000
    with soundfile.SoundFile(path, "w", rate, channels, "PCM_16") as stream:
        while left > 0:
            for source in sorted(folder.glob("*.opus")):
                samples, _ = soundfile.read(source, dtype="float32")
                repeated = np.repeat(samples[:left], rate // 16000)
                stream.write(np.repeat(repeated[:, None], channels, axis=1))
                left -= len(samples)
                if left <= 0:
                    break
    return path


@pytest.mark.bench
def test_an_hour(shared_data: Path, tmp_path: Path) -> None:
    if not (PRETRAINED / DEFAULT_MODEL).exists():
        pytest.skip("no model comes with this checkout")
    results = {}
    for minutes in (3, 60):
        path = speech(shared_data, tmp_path / f"{minutes}.wav", 60 * minutes, 48000, 2)
        command = [sys.executable, "-c", SCRIPT, str(path)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
        results[minutes] = json.loads(done.stdout)
        path.unlink()
        found = results[minutes]
        print(
            f"\n{minutes} minutes at 48 kHz, stereo: {found['speed']:.0f} x real time, "
            f"{found['a core']:.0f} x in CPU time, after {found['start']:.1f} s to start; "
            f"at most {found['peak']:.0f} MB, {found['rate']:.2f} Hz"
        )
    assert results[60]["peak"] - results[3]["peak"] < 150


@pytest.mark.bench
def test_a_unit() -> None:
    """The slowest units are those at which a new span begins."""
    if not (PRETRAINED / DEFAULT_MODEL).exists():
        pytest.skip("no model comes with this checkout")
    torch.set_num_threads(1)
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
