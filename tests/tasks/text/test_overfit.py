"""A dozen real utterances learnt by heart: model, loss, search and scores are right together."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from text_experiment import prompt_experiment
from typer.testing import CliRunner

from entcomp.cli.app import app


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_recognition_of_dedup_units_reaches_zero_wer(tmp_path: Path, prompt_data: Path) -> None:
    one = prompt_experiment(tmp_path, prompt_data)
    config = str(one.config())
    run("train-asr", *one.arguments, "--segmentation", "dedup", "--config", config)
    output = run("decode", *one.arguments, "--model", "asr/dedup", "--beam", "3")
    assert "WER 0.00%" in output
    folder = one.experiment.task("asr", "dedup") / "decode_test_beam3"
    scores = json.loads((folder / "scores.json").read_text())
    assert scores["wer"]["percent"] == scores["cer"]["percent"] == 0
    rows = (line.split() for line in (prompt_data / "units.txt").read_text().splitlines())
    units = [np.array(row, int) for utt_id, *row in rows if utt_id in one.texts]
    runs = sum(1 + np.count_nonzero(np.diff(row)) for row in units)
    assert scores["wer"]["utterances"] == 12 and 20 < scores["rate"] < 30
    assert scores["rate"] == pytest.approx(runs / (sum(map(len, units)) * 0.024))
    assert (folder / "hyp.trn").read_text() == (folder / "ref.trn").read_text()


def test_translation_of_groups_exceeds_95_bleu(tmp_path: Path, prompt_data: Path) -> None:
    """To the words in reverse order, which no monotonic model can write; CALE over 15 Hz."""
    one = prompt_experiment(tmp_path, prompt_data)
    run("segment", *one.arguments, "--criterion", "uniform", "--target-rate", "15")
    vocabulary = {"kind": "char", "size": 80, "normalizer": "none"}
    config = str(one.config(ctc_weight=0.0, vocabulary=vocabulary))
    train = ("--segmentation", "uniform15", "--lang", "eo", "--config", config)
    run("train-st", *one.arguments, *train)
    run("decode", *one.arguments, "--model", "st/eo_uniform15", "--beam", "3")
    folder = one.experiment.task("st", "eo_uniform15") / "decode_test_beam3"
    scores = json.loads((folder / "scores.json").read_text())
    assert scores["bleu"]["score"] > 95
    assert "tok:13a" in scores["bleu"]["signature"]
