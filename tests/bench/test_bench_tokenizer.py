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

from entcomp.lm.config import LMConfig
from entcomp.lm.model import UnitLM
from entcomp.lm.streaming import StreamingScorer
from entcomp.packing import DEFAULT_MODEL, PRETRAINED
from entcomp.segmentation.rule import Rule
from entcomp.tokenizer import StreamingTokenizer

SCRIPT = """
import json, os, resource, sys, time
from pathlib import Path
import numpy as np
from entcomp.kaldi.wav import iter_wav
from entcomp.tokenizer import Tokenizer
from entcomp.units.stream import Recording

path = Path(sys.argv[1])
tokenizer = Tokenizer.from_pretrained()
rule = tokenizer.rule()
tokenizer.encode(np.zeros(16000), 16000, rule=rule)  # what is loaded when first needed
begin = time.monotonic()
source = Recording("a", iter_wav(path, tokenizer.info.sample_rate))
((_, found),) = tokenizer.encode_recordings([source], rule, os.cpu_count())
took = time.monotonic() - begin
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"speed": found.duration / took, "peak": peak, "rate": found.rate}))
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
        pytest.skip("no model comes with this checkout yet; see egs/speechocean762/run.sh")
    results = {}
    for minutes in (3, 60):
        path = speech(shared_data, tmp_path / f"{minutes}.wav", 60 * minutes, 48000, 2)
        command = [sys.executable, "-c", SCRIPT, str(path)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
        results[minutes] = json.loads(done.stdout)
        path.unlink()
        print(
            f"\n{minutes} minutes at 48 kHz, stereo: {results[minutes]['speed']:.0f} x real time, "
            f"at most {results[minutes]['peak']:.0f} MB, {results[minutes]['rate']:.2f} Hz"
        )
    assert results[60]["peak"] - results[3]["peak"] < 150


@pytest.mark.bench
@pytest.mark.parametrize("lm_units", ["raw", "dedup"])
def test_a_unit(lm_units: str) -> None:
    """With the small LM; the slowest units are those at which a new span begins."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    config = LMConfig(lm_units=lm_units)  # type: ignore[arg-type]
    model = UnitLM(config, 500).double()
    stream = StreamingTokenizer(StreamingScorer(model, config), Rule("global", theta_g=2.0))
    units = np.random.default_rng(0).integers(0, 500, 1500)
    times = []
    for unit in units:
        begin = time.perf_counter()
        stream.push([unit])
        times.append(1000 * (time.perf_counter() - begin))
    middle, late, most = np.median(times), np.quantile(times, 0.99), max(times)
    print(f"\n{lm_units}: {middle:.2f} ms a unit, 99%: {late:.2f} ms, slowest: {most:.0f} ms")
    assert middle < 24  # Moonshine's frame
