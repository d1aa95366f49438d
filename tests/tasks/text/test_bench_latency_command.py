"""bench-latency on made-up recordings, through every stage from the waveform to the text."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml
from typer.testing import CliRunner

from entcomp.cli.app import app
from entcomp.errors import EntcompError
from entcomp.files import read_json

TASK = {
    "dim": 32,
    "parameters": None,
    "vocabulary": {"kind": "char", "size": 20},
    "local": {"layers": 1, "heads": 2},
    "encoder": {"layers": 1, "heads": 2, "feed_forward": 32},
    "decoder": {"layers": 1, "heads": 2, "feed_forward": 32},
    "decoding": {"beam": 2, "max_tokens": 6},
    "training": {"max_steps": 1, "warmup_steps": 1, "val_interval": 1},
}
LM = {
    "layers": 1,
    "dim": 16,
    "heads": 2,
    "ffn_dim": 32,
    "context": 64,
    "score_overlap": 16,
    "rows_per_batch": 2,
    "training": {"max_steps": 1, "warmup_steps": 1, "val_interval": 1},
}
STAGES = ["extraction", "lm", "segmentation", "encoder", "decoder", "total"]


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """DATA and EXP with a recogniser of raw units, and one of groups by an LM."""
    folder = tmp_path_factory.mktemp("latency")
    data, exp = folder / "data", folder / "exp"
    generator = np.random.default_rng(0)
    for name, config in (("task", TASK), ("lm", LM)):
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(config))
    for name in ("train", "dev", "test"):
        (data / name).mkdir(parents=True)
        for index in range(4):
            samples = 0.1 * generator.standard_normal(16000 + 4000 * index)
            soundfile.write(data / name / f"{name}{index}.wav", samples, 16000)
        scp = "".join(f"{name}{index} {data / name / name}{index}.wav\n" for index in range(4))
        (data / name / "wav.scp").write_text(scp)
        (data / name / "text").write_text("".join(f"{name}{index} ab\n" for index in range(4)))
    run("learn-kmeans", data, exp, "--extractor", "mfcc", "--num-clusters", 8, "--nj", 1)
    run("dump-units", data, exp, "--nj", 1)
    run("train-lm", data, exp, "--config", folder / "lm.yaml")
    run("score-entropy", data, exp)
    run("segment", data, exp, "--target-rate", 15)
    for segments in ("raw", "rate15_global"):
        run("train-asr", data, exp, "--segmentation", segments, "--config", folder / "task.yaml")
    return data, exp


def test_stages_and_their_sum(paths: tuple[Path, Path]) -> None:
    data, exp = paths
    options = ("--models", "asr/raw, asr/rate15_global", "--utterances", 3, "--warm-up", 1)
    options += ("--repeats", 2)
    output = run("bench-latency", data, exp, *options)
    report = read_json(exp / "latency.json")
    assert report["utterances"] == 3 and report["mean_seconds"] == pytest.approx(1.25)
    assert report["device"] in output and "asr/rate15_global" in output
    raw, groups = (report["models"][f"asr/{name}"] for name in ("raw", "rate15_global"))
    for model in (raw, groups):
        times = model["milliseconds"]
        assert list(times) == sorted(STAGES)
        assert all(0 <= one["p50"] <= one["p95"] for one in times.values())
        *stages, total = (times[name]["mean"] for name in STAGES)
        assert total == pytest.approx(sum(stages)), "means add up, medians do not"
        for name in ("extraction", "encoder", "decoder"):
            assert 0 < times[name]["p50"] < times["total"]["p50"]
    assert groups["milliseconds"]["lm"]["p50"] > 0
    assert groups["rate"] < 0.5 * raw["rate"]
    assert raw["pieces"] == groups["pieces"] == 3  # of "ab", and the space before it
    rows = (exp / "latency.md").read_text().splitlines()
    assert len([row for row in rows if row.startswith("| asr/")]) == 2


def test_cpu_time_is_that_of_one_thread(
    paths: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ("--models", "asr/raw", "--utterances", 1, "--warm-up", 0, "--cpu-time")
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    with pytest.raises(EntcompError, match="--cpu-time: is a latency on one thread only"):
        run("bench-latency", *paths, *options)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    before = time.process_time()
    assert "CPU time" in run("bench-latency", *paths, *options)
    total = read_json(paths[1] / "latency.json")["models"]["asr/raw"]["milliseconds"]["total"]
    assert 0 < total["p50"] < 1000 * (time.process_time() - before)


def test_model_that_is_not_there(paths: tuple[Path, Path]) -> None:
    with pytest.raises(EntcompError, match="asr/no: no such model; available: rate15_global, raw"):
        run("bench-latency", *paths, "--models", "asr/no")


def test_a_voice_converter_was_told_to_be_trained_again(paths: tuple[Path, Path]) -> None:
    with pytest.raises(EntcompError, match="vc/raw: writes no text; name a recogniser or trans"):
        run("bench-latency", *paths, "--models", "asr/raw,vc/raw")


def test_utterance_without_reference(paths: tuple[Path, Path]) -> None:
    """Models that were hardly trained decoded texts of any length, and none was comparable."""
    text = paths[0] / "test" / "text"
    rest = text.read_text()
    text.write_text("".join(rest.splitlines(keepends=True)[1:]))
    try:
        with pytest.raises(EntcompError, match="test0: no reference in text, and as many"):
            run("bench-latency", *paths, "--models", "asr/raw")
    finally:
        text.write_text(rest)
