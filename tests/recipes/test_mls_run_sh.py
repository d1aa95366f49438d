"""egs/mls_en/run.sh, dry: its stages, options, and the commands that it would run."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from waiting import LOST

from entcomp.cli.app import app

RECIPE = Path(__file__).resolve().parents[2] / "egs/mls_en"
CORPORA = {"MLS": "/mls", "LIBRISPEECH": "/ls"}
TRANSLATION = {"CVSS": "/cvss", "COVOST": "/covost", "COMMON_VOICE": "/cv"}


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if name not in TRANSLATION}
    return subprocess.run(
        [str(RECIPE / "run.sh"), *words],
        env=clean | CORPORA | environment,
        capture_output=True,
        text=True,
        timeout=LOST,
    )


def dry(*words: str, **environment: str) -> str:
    result = run("--dry-run", *words, **environment)
    assert result.returncode == 0, result.stderr
    return result.stdout


def entcomp_calls(output: str) -> Iterator[list[str]]:
    """Arguments of each call of entcomp in what a dry run printed."""
    for line in output.splitlines():
        words = shlex.split(line, comments=False)
        while "entcomp" in words:
            words = words[words.index("entcomp") + 1 :]
            ends = (number for number, word in enumerate(words) if word in ("&&", "||"))
            yield words[: next(ends, len(words))]


def titles(output: str) -> list[str]:
    return [line.split(":")[0] for line in output.splitlines() if line.startswith("stage ")]


def test_every_command_is_one_that_entcomp_knows(tmp_path: Path) -> None:
    words = ["--data", str(tmp_path / "data"), "--exp", str(tmp_path / "exp"), "--nj", "3"]
    output = dry(*words, "--full", "--backward", "--lm-steps", "9", **TRANSLATION)
    group = typer.main.get_command(app)
    calls = list(entcomp_calls(output))
    assert {call[0] for call in calls} >= {
        "align",
        "learn-kmeans",
        "dump-units",
        "merge-shards",
        "train-lm",
        "score-entropy",
        "segment",
        "train-asr",
        "train-st",
        "train-vc",
        "convert",
        "score-vc",
        "decode",
        "align-eval",
        "bench-latency",
    }
    for name, *arguments in calls:
        # Reads the options, and raises for one that is unknown or of another type.
        group.commands[name].make_context(name, list(arguments))  # type: ignore[attr-defined]
    assert not (tmp_path / "exp").exists() and not (tmp_path / "data").exists()


@pytest.mark.parametrize(("first", "last"), [(1, 1), (3, 6), (5, 5), (10, 10)])
def test_a_range_of_stages(first: int, last: int) -> None:
    output = dry("--stage", str(first), "--stop-stage", str(last))
    assert titles(output) == [f"stage {number}" for number in range(first, last + 1)]


def test_the_backend_is_the_environments(tmp_path: Path) -> None:
    assert "--cluster" not in dry("--stage", "2", "--stop-stage", "2")
    assert "+ utils/run.py --cluster slurm --mem" in dry(
        "--stage", "2", "--stop-stage", "2", CMD_BACKEND="slurm"
    )
    result = run("--dry-run", CMD_BACKEND="pigeon")
    assert result.returncode == 1
    assert "CMD_BACKEND=pigeon: expected local or slurm" in result.stderr


def test_many_jobs_share_a_stage_and_are_merged() -> None:
    lines = dry("--stage", "3", "--stop-stage", "3", "--nj", "4").splitlines()
    assert "JOB=1:4" in lines[1] and "--shard JOB/4" in lines[1]
    assert lines[2].startswith("+ entcomp merge-shards units") and "--shards 4" in lines[2]
    alone = dry("--stage", "3", "--stop-stage", "3", "--nj", "1")
    assert "--shard" not in alone


@pytest.mark.parametrize(("stage", "models"), [(4, 1), (7, 6), (8, 6), (9, 6)])
def test_trainings_on_many_gpus_are_started_by_srun(stage: int, models: int) -> None:
    words = ["--stage", str(stage), "--stop-stage", str(stage), "--threads", "8"]
    many = [*words, "--devices", "4", "--num-nodes", "2"]
    corpora = {"COVOST": "/covost", "COMMON_VOICE": "/cv"}
    output = dry(*many, CMD_BACKEND="slurm", **corpora)
    assert (
        output.count("srun --kill-on-bad-exit=1 --input=none --cpus-per-task=8 entcomp") == models
    )
    assert output.count("--devices 4 --num-nodes 2") == models
    assert "--gpu 4 --num-nodes 2 --num-tasks 4 --num-threads 8" in output
    assert "srun" not in dry(*many, **corpora)
    assert "srun" not in dry(*words, CMD_BACKEND="slurm", **corpora)
    on_processors = dry(*many, "--ngpu", "0", CMD_BACKEND="slurm", **corpora)
    assert "--gpu 0 --num-nodes 2 --num-tasks 4" in on_processors


def test_some_models_of_the_tables() -> None:
    output = dry("--stage", "7", "--stop-stage", "11", "--models", "raw fixed4_max")
    assert output.count("train-asr --tag") == output.count("train-vc --tag") == 2
    assert "--models asr/raw " in output, "of those whose latency is in the tables"
    result = run("--dry-run", "--stage", "7", "--stop-stage", "7", "--models", "rate9_global")
    assert result.returncode == 1
    assert "no model 'rate9_global'; see --models in --help" in result.stderr


def test_no_translation_without_its_corpora() -> None:
    assert "cvss" not in dry("--stop-stage", "3")
    assert "no corpus for translation in db.sh" in dry("--stage", "8", "--stop-stage", "8")
    only_covost = dry("--stop-stage", "1", COVOST="/covost", COMMON_VOICE="/cv")
    assert "cvss" not in only_covost and "data/test_covost_zh" in only_covost


def test_a_codebook_is_learnt_from_a_part_of_a_large_corpus() -> None:
    for words, name in [
        (["--subset", "all"], "kmeans_mls"),
        (["--hours", "1000"], "kmeans_mls"),
        (["--hours", "50"], "train_mls"),
        (["--subset", "9hr"], "train_mls"),
    ]:
        assert f"learn-kmeans --sets {name} " in dry("--stop-stage", "2", *words)


@pytest.mark.parametrize(
    ("words", "environment", "message"),
    [
        (["--no-such-option", "1"], {}, "unknown option --no-such-option"),
        (["extra"], {}, "unexpected argument extra"),
        (["--stop-stage", "1"], {"MLS": ""}, "set MLS and LIBRISPEECH in db.sh"),
    ],
)
def test_mistakes(words: list[str], environment: dict[str, str], message: str) -> None:
    result = run("--dry-run", *words, **environment)
    assert result.returncode == 1
    assert message in result.stderr


def test_voices_get_the_vocoder_and_the_judge_that_were_named(tmp_path: Path) -> None:
    words = ["--stage", "9", "--stop-stage", "9"]
    output = dry(*words)
    assert "../../tools/install_hifigan.sh" in output
    assert output.count("--vocoder universal") == 7, "six conversions, and score-vc"
    utmos, vocoder = tmp_path / "utmos.jit", tmp_path / "g.pth"
    vocoder.touch()
    output = dry(*words, "--vocoder", os.path.relpath(vocoder), "--utmos", str(utmos))
    assert "install_hifigan" not in output
    assert output.count(f"--vocoder {vocoder}") == 7
    assert output.count(f"--utmos {utmos}") == 1


def test_chinese_has_settings_of_its_own(tmp_path: Path) -> None:
    output = dry("--stage", "8", "--stop-stage", "8", **TRANSLATION)
    for line in output.splitlines():
        if "train-st --tag" in line:
            name = "paper_zh.yaml" if "--lang zh" in line else "paper.yaml"
            assert f"/conf/st/{name} " in line
    own = tmp_path / "own.yaml"
    assert output.count("paper_zh.yaml") == 12
    said = dry("--stage", "8", "--stop-stage", "8", "--st-config", str(own), **TRANSLATION)
    assert said.count(f"--config {own} ") == said.count("train-st --tag")
