"""tests/bench/gpu.sh on a CPU and tiny models: every path runs, and every row is there."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("gpu.sh")


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = ["env", f"PYTHON={sys.executable}", SCRIPT, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_all_rows_on_a_cpu(tmp_path: Path) -> None:
    done = run(tmp_path, "--device", "cpu", "--size", "tiny")
    text = (tmp_path / "gpu.md").read_text()
    assert done.returncode == 0, text
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    found = {row[0]: row[1:] for row in rows}
    for what in (
        "entropies in float32: largest difference to a CPU's",
        "score-entropy, small LM: units",
        "training step, small LM: units",
        "CALE, a step: tokens",
        "HuBERT's layer 1: seconds of speech",
        "train-asr, conf/asr/small.yaml in float32: steps",
        "train-asr in bfloat16: steps",
        "decode: utterances, start included",
        "train-lm in float32: after 4 steps",
        "train-lm in bfloat16: steps",
        "train-lm on 2 CPU processes: steps",
    ):
        assert what in found, text
    ours, _, theirs, ratio = found["training step, small LM: units"]
    speeds = [float(one.replace(",", "")) for one in (ours, theirs)]
    assert float(ratio) == pytest.approx(speeds[0] / speeds[1], rel=0.01, abs=0.01)
    assert found["entropies in float32: largest difference to a CPU's"][0] == "0.0e+00 nats"


def test_where_there_is_no_gpu(tmp_path: Path) -> None:
    done = run(tmp_path, "--device", "cuda")
    assert done.returncode == 1 and "torch sees no GPU; --device cpu --size tiny" in done.stderr
    assert run().returncode == 1


def test_a_part_that_fails_says_why_and_the_others_go_on(
    tmp_path: Path,
) -> None:
    import gpu

    def lost(bench: gpu.Bench) -> Iterator[gpu.Row]:
        yield gpu.Row("first", 2.0, "peer", 1.0)
        raise ImportError("no such package")

    there = {"lost": lost, "kept": lambda bench: iter([gpu.Row("second", "is there")])}
    assert not gpu.write_table_of(gpu.Bench(gpu.SIZES["tiny"], gpu.CPU, tmp_path), there)
    rows = (tmp_path / "gpu.md").read_text().splitlines()[-3:]
    assert rows == [
        "| first | 2 | peer | 1 | 2.00 |",
        "| lost | failed: ImportError: no such package |  |  |  |",
        "| second | is there |  |  |  |",
    ]
